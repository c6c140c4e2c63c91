"""Copies the permissions of one file to another, and never grants more."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

ACCESS_LIST = "system.posix_acl_access"
PERMISSIONS = 0o777


def take_over(descriptor: int, old: os.stat_result, target: str) -> None:
    """Give a file the owner, group, access list and mode of another; fewer rights where the system refuses one."""
    mode, own = old.st_mode & PERMISSIONS, os.fstat(descriptor)
    if own.st_uid != old.st_uid:
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, -1)
    if own.st_gid != old.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode = _without_group(mode)
    try:
        access_list = os.getxattr(target, ACCESS_LIST)
    except (OSError, AttributeError):
        access_list = b""  # none, or a system without them
    if access_list:
        try:
            os.setxattr(descriptor, ACCESS_LIST, access_list)
        except OSError:
            mode = _without_group(mode)  # with an access list the group bits are the limit of all its entries
    if mode != os.fstat(descriptor).st_mode & PERMISSIONS:
        os.fchmod(descriptor, mode)


def _without_group(mode: int) -> int:
    """Mode in which the group has no more rights than all other users."""
    return mode & (~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3)
