"""Table of contents: the tables of the dealers floor, one line per room."""

from dealers.acceptance.models import Acceptance
from dealers.capacity.models import DayLoad, DaySlot
from dealers.directory.models import Dealer, ServiceArea, Skill, Staff
from dealers.divisions.models import Division, DivisionEdition, Township
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, StatementLine, WorkRefund

__all__ = [
    "Acceptance",
    "Account",
    "DayLoad",
    "DaySlot",
    "Dealer",
    "Division",
    "DivisionEdition",
    "LedgerEntry",
    "LedgerLine",
    "Seal",
    "ServiceArea",
    "Skill",
    "SplitRule",
    "Staff",
    "Statement",
    "StatementLine",
    "Township",
    "WorkRefund",
]
