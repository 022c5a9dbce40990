"""AE-IDs every tenant is born with: its administrator, and the platform itself."""

ADMIN, PLATFORM, GROUPS = "CAdmin", "CDevice-Provisioning", "CDevice-Group"
