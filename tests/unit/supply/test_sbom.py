"""The bill of materials lists a lock."""

from __future__ import annotations

from supply import sbom
from supply.locks import Locked


def test_a_bill_of_materials_lists_what_the_lock_holds() -> None:
    lock = {"torch": Locked("2.13.0+cpu", ("1" * 64,)), "jinja2": Locked("3.1.6", ("0" * 64,))}
    made = sbom.of("steps", lock)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert made["metadata"]["component"]["name"] == "crossmix-steps"
    first, second = made["components"]
    assert (first["purl"], first["licenses"]) == ("pkg:pypi/jinja2@3.1.6", [{"license": {"name": "BSD License"}}])
    assert first["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert second["purl"] == "pkg:pypi/torch@2.13.0%2Bcpu"
    assert made["dependencies"][0]["dependsOn"] == [first["bom-ref"], second["bom-ref"]]
    assert made == sbom.of("steps", dict(reversed(lock.items())))
