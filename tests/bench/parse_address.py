"""How many machine-made addresses are read exactly, by style, and how many lines a second one core reads.

Run: python -m tests.bench.parse_address [addresses] [seed]
No database: the gazetteer is made from the shipped files. "held" are those left to a person.
"""

import sys
import time
import tracemalloc
from collections import Counter

from dealers.divisions.rules import parse
from tests.dealers import address_world as world


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    world.package()
    started = time.perf_counter()
    gazetteer = world.gazetteer()
    built = time.perf_counter() - started
    world.gazetteer.cache_clear()
    tracemalloc.start()
    gazetteer = world.gazetteer()
    print(f"gazetteer: built in {built:.2f} s, {tracemalloc.get_traced_memory()[0] / 1e6:.0f} MB")
    tracemalloc.stop()
    addresses = world.make_addresses(count, seed)
    total, exact, held, wrong = Counter[str](), Counter[str](), Counter[str](), []
    for address in addresses:
        reading = parse(gazetteer, address.text)
        total[address.style] += 1
        if not reading.is_sure:
            held[address.style] += 1
        elif reading.code == address.code:
            exact[address.style] += 1
        else:
            wrong.append((address, reading))
    for style in total:
        share = exact[style] / total[style]
        print(f"{style:18s} {total[style]:5d}  exact {share:7.2%}  held {held[style]:3d}")
    print(
        f"{'all':18s} {len(addresses):5d}  exact {exact.total() / len(addresses):7.2%}  held {held.total():3d}  wrong {len(wrong)}"
    )
    for address, reading in wrong[:20]:
        print(f"  wrong: {address.text} -> {reading.region} {reading.code}, not {address.code}")
    best = 0.0
    for _ in range(5):
        started = time.process_time()
        for address in addresses:
            parse(gazetteer, address.text)
        best = max(best, len(addresses) / (time.process_time() - started))
    print(f"{best:,.0f} lines/s on one core, best of 5")


if __name__ == "__main__":
    main()
