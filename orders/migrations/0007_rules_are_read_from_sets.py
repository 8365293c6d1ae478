"""The policies and freight templates that became rule sets go; undone, they are filled again by 0003."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_decisions_tell_their_terms")]
    operations = [
        migrations.DeleteModel(name="FreightTemplate"),
        migrations.DeleteModel(name="RoutingPolicy"),
    ]
