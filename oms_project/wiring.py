"""The page that says "when X happens, call Y", and what is called by the clock. Two tables, no logic."""

from oms_project.journal.subscription import Subscription

SUBSCRIPTIONS: list[Subscription] = []
