"""The four roles. What each may do is set after every migration, see ``webapp/accounts/roles.py``."""

from django.db import migrations

ROLES = ("viewer", "member", "trainer", "admin")


def make(apps, schema_editor):
    """Create the groups that are not there."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name in ROLES:
        groups.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
