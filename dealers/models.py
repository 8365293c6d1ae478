"""Table of contents: the tables of the dealers floor, one line per room."""

from dealers.directory.models import Dealer, Division, ServiceArea, Skill, Staff
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, StatementLine, WorkRefund

__all__ = [
    "Account",
    "Dealer",
    "Division",
    "LedgerEntry",
    "LedgerLine",
    "Seal",
    "ServiceArea",
    "Skill",
    "SplitRule",
    "Staff",
    "Statement",
    "StatementLine",
    "WorkRefund",
]
