"""All routes of the CDS wire, and how its errors are sent."""

from __future__ import annotations

from litestar import Router

from oneself.api.cds.categories import (
    create_category,
    delete_category,
    list_categories,
    read_category,
    replace_category,
)
from oneself.api.cds.config import change_config, read_config
from oneself.api.cds.consents import read_consents, replace_consents
from oneself.api.cds.link import link_profile
from oneself.api.cds.list_profiles import list_profiles
from oneself.api.cds.me import patch_me, read_me
from oneself.api.cds.profiles import create_profile, delete_profile, patch_profile, read_profile
from oneself.api.cds.rules import change_rule, create_rule, delete_rule, list_rules, read_rule
from oneself.api.cds.schema import (
    define_attributes,
    delete_attribute,
    delete_schema,
    delete_scope,
    read_attribute,
    read_schema,
    read_scope,
    redefine_attribute,
)
from oneself.api.http.guard import require_permission
from oneself.api.http.unknown_parameters import reject_instant

ORGANISATION_PATH = "/t/{org:str}/cds/api/v1"
SECURITY_SCHEME = "bearer"

organisation_routes = Router(
    ORGANISATION_PATH,
    route_handlers=[
        create_profile,
        list_profiles,
        link_profile,
        read_me,
        patch_me,
        read_profile,
        patch_profile,
        delete_profile,
        read_schema,
        delete_schema,
        read_scope,
        define_attributes,
        delete_scope,
        read_attribute,
        redefine_attribute,
        delete_attribute,
        read_consents,
        replace_consents,
        list_categories,
        create_category,
        read_category,
        replace_category,
        delete_category,
        list_rules,
        create_rule,
        read_rule,
        change_rule,
        delete_rule,
        read_config,
        change_config,
    ],
    guards=[require_permission, reject_instant],
    security=[{SECURITY_SCHEME: []}],
    tags=["Customer Data Service"],
)
