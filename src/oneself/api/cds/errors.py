"""The error codes and texts of the customer data service. Source: docs/wire/cds.md §4."""

from __future__ import annotations

from oneself.api.http.errors import ErrorCode

PROFILE_CREATION_FAILED = ErrorCode("11002", "Profile addition failed.")
PROFILE_FETCH_FAILED = ErrorCode("11003", "Fetching profile(s) failed.")
CONSENT_FETCH_FAILED = ErrorCode("11004", "Fetching profile consent failed.")
FILTER_FAILED = ErrorCode("11010", "Filtering profiles failed.")
PROFILE_UPDATE_FAILED = ErrorCode("11011", "Profile update failed.")
PROFILE_DELETION_FAILED = ErrorCode("11012", "Profile deletion failed.")
PROFILE_ALREADY_LINKED = ErrorCode("11017", "Profile already linked.")
INVALID_CATEGORY = ErrorCode("14001", "Consent category validation failed")
CATEGORY_EXISTS = ErrorCode("14002", "Consent category already exist.")
CATEGORY_NOT_FOUND = ErrorCode("14003", "Consent category not found.")
INVALID_CATEGORY_UPDATE = ErrorCode("14005", "Invalid request payload for updating consent category.")
CATEGORY_MANDATORY = ErrorCode("14006", "Consent category is mandatory and cannot be modified or deleted.")
INVALID_SCHEMA_FILTER = ErrorCode("15102", "Invalid schema filter.")
INVALID_CATEGORY_PAYLOAD = ErrorCode("15302", "Invalid request payload for consent category.")
INVALID_CONFIGURATION = ErrorCode("16002", "Invalid request payload for updating admin configuration.")

USER_ID_WRITE_ONCE = "user_id: write-once field cannot be changed after being set"
