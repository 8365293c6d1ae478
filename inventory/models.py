"""Table of contents: the tables of the inventory floor, one line per room."""

from inventory.exchange.models import StockFile, StockFileRow
from inventory.items.models import Sku
from inventory.ledger.models import (
    Incoming,
    Level,
    Movement,
    Node,
    NodeGroup,
    Ownership,
    StockCheck,
    StockDrift,
    StockRepair,
    StockRule,
)
from inventory.partners.models import ApiKey
from inventory.pool.models import Pool, PoolCount, PoolTotal, PublishedShop, PublishedStock, PublishRule
from inventory.replenishment.models import StockNeed, Transfer, TransferLine
from inventory.reservations.models import Reservation, StockLock

__all__ = [
    "ApiKey",
    "Incoming",
    "Level",
    "Movement",
    "Node",
    "NodeGroup",
    "Ownership",
    "Pool",
    "PoolCount",
    "PoolTotal",
    "PublishRule",
    "PublishedShop",
    "PublishedStock",
    "Reservation",
    "Sku",
    "StockCheck",
    "StockDrift",
    "StockFile",
    "StockFileRow",
    "StockLock",
    "StockNeed",
    "StockRepair",
    "StockRule",
    "Transfer",
    "TransferLine",
]
