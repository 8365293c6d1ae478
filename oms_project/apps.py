"""Joins the wiring to the journal once all apps are loaded."""

from importlib import import_module

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "oms_project"
    verbose_name = "一盘"

    def ready(self) -> None:
        import_module("oms_project.checks")
        wiring = import_module("oms_project.wiring")
        actions = import_module("oms_project.journal.actions")
        actions.subscribe(wiring.SUBSCRIPTIONS)
