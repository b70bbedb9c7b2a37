"""What a password's hash costs, and whether an address has to be confirmed."""

from collections.abc import Mapping

from environ import flag, number
from melon_api.mail.settings import MailSettings

# OWASP Password Storage Cheat Sheet, Argon2id: (KiB, iterations), each with 1 lane
OWASP_ARGON2ID = ((47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5))


class PasswordSettings(MailSettings):
    ARGON2_MEMORY_KIB: int = number(
        "memory of a password's hash; a change of these upgrades each hash at the next sign-in",
        19_456,
        most=4_194_304,
    )
    ARGON2_ITERATIONS: int = number("passes over that memory", 2, most=100)
    ARGON2_PARALLELISM: int = number("lanes in it", 1, most=64)
    ARGON2_AT_ONCE: int = number("hashes at the same moment in one process; bounds their memory", 2)
    REQUIRE_VERIFIED_EMAIL: bool = flag("whether syncing needs a confirmed e-mail address")

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        kib, times = self.ARGON2_MEMORY_KIB, self.ARGON2_ITERATIONS
        if kib < 8 * self.ARGON2_PARALLELISM:  # RFC 9106 §3.1
            self.problems.append("ARGON2_MEMORY_KIB: at least 8 for each of ARGON2_PARALLELISM")
        if self.NEEDS_SERVERS:
            if not any(least <= kib and fewest <= times for least, fewest in OWASP_ARGON2ID):
                self.problems.append(
                    "ARGON2_MEMORY_KIB, ARGON2_ITERATIONS: weaker than OWASP advises"
                )
            if self.REQUIRE_VERIFIED_EMAIL and not self.SMTP:
                self.problems.append("REQUIRE_VERIFIED_EMAIL: needs SMTP_URL, or nobody can verify")
