"""The use case on plain values: clicks in, every clicking user's list out. No Kafka, no clock, no chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stream_engine.encoder.protocol import Encoder
from stream_engine.errors import Unavailable
from stream_engine.events import Item, Models, Received, Recommendation, Source, Trigger
from stream_engine.index.protocol import Index, Match, Query
from stream_engine.items.updates import ItemUpdate, updates_of
from stream_engine.items.view import ItemView
from stream_engine.ranking.pipeline import Pipeline
from stream_engine.ranking.question import Question, question_of
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings, UserSettings
from stream_engine.users import UserState, advance, context, space_of
from stream_engine.vectors import Vector

NOWHERE = Source("", -1, -1)


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """A user after a chunk: the new state, and the list that reflects it."""

    user_id: str
    state: UserState
    recommendation: Recommendation


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What a chunk of clicks led to; `announced` are inline items that the view does not know."""

    users: tuple[UserOutcome, ...]
    updates: tuple[ItemUpdate, ...]
    announced: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One click, and its user's state before and after it."""

    received: Received
    before: UserState | None
    after: UserState


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
        self._space = space_of(encoder.fingerprint)

    async def on_chunk(self, received: Sequence[Received], states: Mapping[str, UserState], now: float) -> ChunkOutcome:
        """One list for each user who clicked, reflecting their last click of the chunk.

        `received` is of one partition, in order; `states` holds the users' states where they have one. The same
        chunk again, with the states it led to, gives the same lists' ids and the same updates.
        """
        announced = self._announced(received)
        vectors, degraded = await self._vectors(received)
        steps = self._advanced(received, vectors, states)
        last = {step.received.interaction.user_id: step for step in steps}
        questions = [self._question(step) for step in last.values()]
        matches, away = await self._matches(questions)
        lists = [
            UserOutcome(question.user_id, step.after, self._recommendation(question, step, found, now, degraded + away))
            for question, step, found in zip(questions, last.values(), matches, strict=True)
        ]
        return ChunkOutcome(tuple(lists), self._updates(steps), announced)

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
            user_id, state, now, size=size or self._ranking.size, categories=categories, exclude=exclude
        )
        (found,), away = await self._matches([question])
        return self._made(question, found, source=NOWHERE, event_id=None, now=now, degraded=away)

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

    def _question(self, step: _Step) -> Question:
        return question_of(
            step.received.interaction.user_id,
            step.after,
            step.after.updated_at,
            size=self._ranking.size,
        )

    async def _matches(self, questions: Sequence[Question]) -> tuple[list[list[Match]], tuple[str, ...]]:
        """What the index finds near each question's interests, in one round trip for all."""
        queries = [
            Query(interest, self._ranking.candidates, question.categories, tuple(question.exclude))
            for question in questions
            for interest in question.interests
        ]
        if not queries:
            return [[] for _ in questions], ()
        try:
            answers = iter(await self._index.search(queries))
        except Unavailable:
            return [[] for _ in questions], ("index",)
        return [[match for _ in question.interests for match in next(answers)] for question in questions], ()

    def _recommendation(
        self, question: Question, step: _Step, found: Sequence[Match], now: float, degraded: tuple[str, ...]
    ) -> Recommendation:
        return self._made(
            question,
            found,
            source=step.received.source,
            event_id=step.received.interaction.event_id,
            now=now,
            degraded=degraded,
        )

    def _made(
        self,
        question: Question,
        found: Sequence[Match],
        *,
        source: Source,
        event_id: str | None,
        now: float,
        degraded: tuple[str, ...],
    ) -> Recommendation:
        return Recommendation(
            recommendation_id=recommendation_id(question.user_id, source),
            user_id=question.user_id,
            generated_at=now,
            trigger=Trigger(event_id, source.topic, source.partition, source.offset),
            interactions=question.interactions,
            model=Models(self._encoder.fingerprint, self._ranker.version),
            degraded=degraded,
            items=self._pipeline.list_of(question, found),
        )

    def _updates(self, steps: Sequence[_Step]) -> tuple[ItemUpdate, ...]:
        """What each click on an item, a redelivered one too, says about items."""
        settings = self._view.settings
        updates: list[ItemUpdate] = []
        for step in steps:
            interaction, source = step.received.interaction, step.received.source
            if interaction.item_id is None or self._users.weights.get(interaction.event_type, 0.0) <= 0:
                continue
            before = context(step.after, source, settings.window)
            updates += updates_of(
                interaction.item_id,
                list(dict.fromkeys(entry.item_id for entry in before)),
                source=source,
                timestamp=interaction.timestamp,
                weight=1.0,
                fade=settings.fade,
            )
        return tuple(updates)


def recommendation_id(user_id: str, source: Source) -> str:
    """The same for the same user and trigger, so that a list made twice is recognisable."""
    place = f"{user_id}\0{source.topic}\0{source.partition}\0{source.offset}"
    return blake2b(place.encode(), digest_size=12).hexdigest()


def _text(received: Received) -> str:
    interaction = received.interaction
    return interaction.item.text if interaction.item else interaction.query or ""
