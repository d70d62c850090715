"""The passwords that nobody may choose, because attackers try them first."""

from __future__ import annotations

# The head of every list of leaked passwords, from eight characters on. Attackers try these first, against
# every account; this is no measure of strength.
COMMON_PASSWORDS = frozenset(
    """
    password password1 password12 password123 passw0rd p@ssword p@ssw0rd 12345678 123456789 1234567890
    87654321 11111111 00000000 88888888 12341234 11223344 qwertyui qwertyuiop qwerty123 qwerty12 1q2w3e4r
    1q2w3e4r5t 1qaz2wsx zaq12wsx asdfghjk asdfghjkl q1w2e3r4 abcd1234 abc12345 abcdefgh iloveyou sunshine
    princess football baseball superman starwars whatever trustno1 letmein1 welcome1 welcome123 changeme
    changeme1 computer internet michelle jennifer master123 dragon123 monkey123 admin123 administrator
    login123 secret123 test1234 testtest samsung1 charlie1 liverpool chelsea1 arsenal1
    """.split()
)
