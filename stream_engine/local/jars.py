"""Apache Kafka's jars, obtained once by Maven coordinates."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_engine.errors import BadConfiguration

KAFKA_VERSION = "4.1.1"
LOG4J_VERSION = "2.24.3"  # the one Kafka brings; the binding to slf4j 1.7 is what it leaves out

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stream-engine</groupId><artifactId>embedded-broker</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def program(name: str, package: str) -> str:
    """The path of a program; BadConfiguration names the package to install where it is missing."""
    found = shutil.which(name)
    if found is None:
        raise BadConfiguration(
            name,
            f"not found; install it (Debian: apt-get install {package}), or point kafka.broker at a Kafka of yours",
        )
    return found


def java() -> str:
    """The path of `java`; BadConfiguration where it is missing."""
    return program("java", "openjdk-17-jre-headless")


def ensure_jars(cache_dir: Path, *, report: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with Kafka's jars, fetched into `cache_dir` by whoever comes first; safe from several processes."""
    folder = cache_dir.absolute() / "kafka" / KAFKA_VERSION
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.parent / "lock"):
        if not folder.is_dir():
            report(f"fetching Apache Kafka {KAFKA_VERSION} (about 45 MB) from the Maven repository")
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = program("mvn", "maven")
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        pom, jars = Path(name, "pom.xml"), Path(name, "jars")
        pom.write_text(POM)
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
        if done.returncode != 0:
            last = "\n".join(done.stdout.strip().splitlines()[-3:])
            raise BadConfiguration(
                "mvn", f"could not fetch Apache Kafka {KAFKA_VERSION}: {last or done.stderr.strip()}"
            )
        jars.rename(folder)  # all of it or nothing


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; it goes with the process that held it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
