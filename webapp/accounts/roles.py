"""The four roles and what each may do. Anything not listed is denied."""

from __future__ import annotations

from typing import Any

READ = ("workers.view_library",)
MAKE = (
    *READ,
    "workers.add_library",
    "workers.change_library",
    "workers.delete_library",
    "accounts.view_apitoken",
)
TRAIN = (
    *MAKE,
    "workers.view_job",
    "workers.add_job",
    "workers.change_job",
    "workers.view_modelversion",
    "workers.view_evaluation",
    "workers.view_promotion",
    "workers.view_worker",
)

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": READ,
    "member": MAKE,
    "trainer": TRAIN,
    "admin": (
        *TRAIN,
        "workers.delete_job",
        "workers.add_modelversion",
        "workers.change_modelversion",
        "workers.delete_modelversion",
        "workers.view_auditentry",
        "accounts.add_user",
        "accounts.change_user",
        "accounts.delete_user",
        "accounts.view_user",
        "accounts.delete_apitoken",
        "auth.view_group",
    ),
}


def grant(using: str = "default", **_: Any) -> None:
    """Give each role exactly its rights; run after every migration, once the permissions exist."""
    from django.apps import apps
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group, Permission

    for label in ("auth", "workers", "accounts"):
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    for role, names in ROLES.items():
        group, _made = Group.objects.using(using).get_or_create(name=role)
        wanted = [_permission(Permission.objects.using(using), name) for name in names]
        group.permissions.set(wanted)


def _permission(permissions: Any, name: str) -> Any:
    label, codename = name.split(".")
    return permissions.get(content_type__app_label=label, codename=codename)
