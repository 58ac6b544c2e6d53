"""The use case on plain values: clicks in, every clicking user's list out. No Kafka, no clock, no chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stream_engine.encoder.protocol import Encoder
from stream_engine.errors import Unavailable
from stream_engine.events import Interaction, Item, Models, Received, Recommendation, RecommendedItem, Trigger
from stream_engine.index.protocol import Index, Match
from stream_engine.items.updates import ItemUpdate, updates_of
from stream_engine.items.view import ItemView
from stream_engine.outcomes import NOWHERE, ChunkOutcome, Observed, UserOutcome, recommendation_id
from stream_engine.ranking.pipeline import Pipeline
from stream_engine.ranking.proposed import Candidates
from stream_engine.ranking.quality import Quality
from stream_engine.ranking.question import Question, question_of
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.sampling import Sampler
from stream_engine.ranking.taste import tastes_of
from stream_engine.settings import RankingSettings, UserSettings
from stream_engine.users import UserState, advance, context, is_counted, space_of
from stream_engine.vectors import Vector


class _Step(NamedTuple):
    """One click, and its user's state before and after it."""

    received: Received
    before: UserState | None
    after: UserState


class _Lesson(NamedTuple):
    """An item that was clicked, and what would have been asked just before."""

    item_id: str
    question: Question


class Engine:
    """Answers clicks; all it remembers beyond its arguments is the ranker's weights and the live quality."""

    def __init__(
        self,
        *,
        view: ItemView,
        index: Index,
        encoder: Encoder,
        ranker: Ranker,
        users: UserSettings,
        ranking: RankingSettings,
    ) -> None:
        self._view = view
        self._index = index
        self._encoder = encoder
        self._ranker = ranker
        self._users = users
        self._ranking = ranking
        self._pipeline = Pipeline(view, ranker, ranking)
        self._sampler = Sampler(ranking.seed, per_second=ranking.lessons)
        self._fingerprint = encoder.fingerprint
        self._space = space_of(self._fingerprint)

    @property
    def quality(self) -> Quality:
        """How well the sampled clicks were foreseen, and how well trending foresaw them."""
        return self._pipeline.quality

    async def on_chunk(self, received: Sequence[Received], states: Mapping[str, UserState], now: float) -> ChunkOutcome:
        """One list for each user who clicked, reflecting their last click of the chunk.

        `received` is in order, each user's of one partition; `states` holds the states of those who have one. The same
        chunk again, with the states it led to, gives the same lists' ids and the same updates.
        """
        self._sampler.refill(now)
        announced = self._announced(received)
        vectors, no_encoder = await self._vectors(received)
        steps = self._advanced(received, vectors, states)
        lessons = self._lessons(steps)
        last = {step.received.interaction.user_id: step for step in steps}
        questions = [self._question(step.received, step.after) for step in last.values()]
        found, no_index = await self._candidates([*(lesson.question for lesson in lessons), *questions])
        self._learn(lessons, found[: len(lessons)])
        made = self._pipeline.made(found[len(lessons) :])
        lists = [
            UserOutcome(user_id, step.after, self._answer(step.received, question, items, now, no_encoder + no_index))
            for (user_id, step), question, items in zip(last.items(), questions, made, strict=True)
        ]
        return ChunkOutcome(tuple(lists), self._updates(steps), announced)

    async def observe(self, received: Sequence[Received], states: Mapping[str, UserState]) -> Observed:
        """`on_chunk` without its lists: the same states and updates, and the ranker learns the same, for much less."""
        announced = self._announced(received)
        vectors, _ = await self._vectors(received)
        steps = self._advanced(received, vectors, states)
        lessons = self._lessons(steps)
        found, _ = await self._candidates([lesson.question for lesson in lessons])
        self._learn(lessons, found)
        after = {step.received.interaction.user_id: step.after for step in steps}
        return Observed(after, self._updates(steps), announced)

    async def remember(self, received: Sequence[Received]) -> Mapping[str, UserState]:
        """The states of users who did this and nothing before; nothing is learnt."""
        vectors, _ = await self._vectors(received)
        return {each.received.interaction.user_id: each.after for each in self._advanced(received, vectors, {})}

    async def proposed(self, user_id: str, state: UserState | None, now: float) -> Candidates:
        """What the sources propose to this user and no filter removes, before it is ranked."""
        question = question_of(user_id, state, now, size=self._ranking.size, space=self._space)
        (found,), _ = await self._candidates([question])
        return found

    def chosen(self, found: Candidates, *, explore: int | None = None) -> tuple[RecommendedItem, ...]:
        """The list made of what was proposed; `explore` overrides the setting."""
        return self._pipeline.made([found], explore=explore)[0]

    async def recommend(
        self,
        user_id: str,
        state: UserState | None,
        now: float,
        *,
        size: int | None = None,
        categories: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> Recommendation:
        """A list without a click, best as of `now`."""
        question = question_of(
            user_id,
            state,
            now,
            size=size or self._ranking.size,
            space=self._space,
            categories=categories,
            exclude=exclude,
        )
        found, degraded = await self._candidates([question])
        return self._answer(None, question, self._pipeline.made(found)[0], now, degraded)

    def _announced(self, received: Sequence[Received]) -> tuple[Item, ...]:
        """Inline items new to the view, each once, the last word on each."""
        inline = {each.interaction.item.item_id: each.interaction.item for each in received if each.interaction.item}
        return tuple(item for item in inline.values() if item.item_id not in self._view)

    async def _vectors(self, received: Sequence[Received]) -> tuple[list[Vector | None], tuple[str, ...]]:
        """One vector a click: the view's, or that of the text it brings; None where there is neither."""
        vectors = [self._view.vector(each.interaction.item_id or "") for each in received]
        texts = {place: _text(each) for place, each in enumerate(received) if vectors[place] is None and _text(each)}
        if not texts:
            return vectors, ()
        try:
            encoded = await self._encoder.encode(list(texts.values()))
        except Unavailable:
            return vectors, ("encoder",)
        for place, vector in zip(texts, encoded, strict=True):
            vectors[place] = vector
        return vectors, ()

    def _advanced(
        self, received: Sequence[Received], vectors: Sequence[Vector | None], states: Mapping[str, UserState]
    ) -> list[_Step]:
        current: dict[str, UserState] = dict(states)
        steps = []
        for each, vector in zip(received, vectors, strict=True):
            user_id = each.interaction.user_id
            before = current.get(user_id)
            current[user_id] = advance(before, each, vector, self._users, space=self._space)
            steps.append(_Step(each, before, current[user_id]))
        return steps

    def _question(self, received: Received, state: UserState | None) -> Question:
        """What to ask for this user, as of the click."""
        user_id, time = received.interaction.user_id, received.interaction.timestamp
        return question_of(user_id, state, time, size=self._ranking.size, space=self._space)

    def _is_lesson(self, interaction: Interaction) -> bool:
        """Whether it is a choice of an item."""
        return interaction.item_id is not None and self._users.weights.get(interaction.event_type, 0.0) > 0

    def _lessons(self, steps: Sequence[_Step]) -> list[_Lesson]:
        """A bounded sample of the new clicks, with the users as they were just before."""
        lessons = []
        for step in steps:
            interaction = step.received.interaction
            fresh = step.before is None or step.after.interactions > step.before.interactions
            if not fresh or not self._is_lesson(interaction):
                continue
            self._ranker.notice(interaction, step.before)
            if self._sampler.picks(step.received.source):
                lessons.append(_Lesson(interaction.item_id or "", self._question(step.received, step.before)))
        return lessons

    async def _candidates(self, questions: Sequence[Question]) -> tuple[Sequence[Candidates], tuple[str, ...]]:
        """What may be shown to each, with one round trip to the index for all."""
        tastes = tastes_of(self._view, questions)
        lookups = [self._pipeline.lookup(taste) for taste in tastes]
        asked = [query for lookup in lookups for query in lookup.queries]
        degraded: tuple[str, ...] = ()
        answers: Sequence[Sequence[Match]] = [[] for _ in asked]
        try:
            if asked:
                answers = await self._index.search(asked)
        except Unavailable:
            degraded = ("index",)
        return self._pipeline.candidates(tastes, lookups, answers), degraded

    def _learn(self, lessons: Sequence[_Lesson], found: Sequence[Candidates]) -> None:
        for lesson, candidates in zip(lessons, found, strict=True):
            self._pipeline.learn(candidates, lesson.item_id)

    def _answer(
        self,
        received: Received | None,
        question: Question,
        items: tuple[RecommendedItem, ...],
        now: float,
        degraded: tuple[str, ...],
    ) -> Recommendation:
        source = received.source if received else NOWHERE
        event_id = received.interaction.event_id if received else None
        return Recommendation(
            recommendation_id=recommendation_id(question.user_id, source),
            user_id=question.user_id,
            generated_at=now,
            trigger=Trigger(event_id, source.topic, source.partition, source.offset),
            interactions=question.interactions,
            model=Models(self._fingerprint, self._ranker.version),
            degraded=degraded,
            items=items,
        )

    def _updates(self, steps: Sequence[_Step]) -> tuple[ItemUpdate, ...]:
        """What each click on an item, a redelivered one too, says about items."""
        settings = self._view.settings
        updates: list[ItemUpdate] = []
        for step in steps:
            interaction, source = step.received.interaction, step.received.source
            if not self._is_lesson(interaction) or not is_counted(step.after, source):
                continue
            before = context(step.after, source, settings.window)
            updates += updates_of(
                interaction.item_id or "",
                list(dict.fromkeys(before)),
                source=source,
                timestamp=interaction.timestamp,
                weight=1.0,
                fade=settings.fade,
            )
        return tuple(updates)


def _text(received: Received) -> str:
    interaction = received.interaction
    return interaction.item.text if interaction.item else interaction.query or ""
