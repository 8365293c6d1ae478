"""django-q2's own cluster of processes, with our broker, telling the supervisor what its workers do."""

import os
from typing import Any

from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.signals import post_execute_in_worker, pre_execute

from oms_project.tasks.jobs import BEAT
from oms_project.tasks.parent import Voice


def run(voice: Voice) -> None:
    """Start the cluster and stay until SIGTERM (its own handler) has stopped it."""
    Conf.BROKER_CLASS = "oms_project.tasks.queue.QueueBroker"

    def say(word: str, task: dict[str, Any]) -> None:
        mark = " beat" if task["func"] == BEAT else ""
        voice.say(f"{word} {os.getpid()}{mark}\n".encode())

    def on_start(sender: object, task: dict[str, Any], **_: object) -> None:
        say("S", task)

    def on_end(sender: object, task: dict[str, Any], **_: object) -> None:
        say("E", task)

    pre_execute.connect(on_start, weak=False)
    post_execute_in_worker.connect(on_end, weak=False)
    cluster: Any = Cluster()
    cluster.start()
    cluster.sentinel.join()
