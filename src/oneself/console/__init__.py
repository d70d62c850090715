"""The console at `/console/`: pages for administrators, analysts and privacy officers of organisations."""
