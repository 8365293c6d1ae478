"""The ledger's guards: what the database refuses by itself (see dealers/settlement/guards.py)."""

from django.db import migrations

from dealers.settlement import guards


def install(apps, schema_editor):
    guards.install(schema_editor)


def remove(apps, schema_editor):
    guards.remove(schema_editor)


class Migration(migrations.Migration):
    dependencies = [("dealers", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
