/*
 * Which device numbers are terminals, and of which kind (Documentation/admin-guide/devices.txt).
 *
 * What can be dumped is what the reference's images can name (spec/images-files.md 14.1).  The
 * masters and slaves of BSD style pseudo terminals, majors 2 and 3, have no index that could be
 * asked for and are nothing like those of majors 5 and 136.
 */
#include "file/tty.h"

static const struct {
	unsigned major, minor_first, minor_last;
	struct tty_kind kind;
} kinds[] = {
	{5, 0, 0, {"the controlling terminal by its name /dev/tty", TTY_TYPE__CTTY, false}},
	{5, 1, 1, {"the console", TTY_TYPE__CONSOLE, false}},
	{5, 2, 2, {"a pseudo terminal master", TTY_TYPE__PTY, true}},
	{128, 0, -1U, {"a pseudo terminal master", TTY_TYPE__PTY, true}},
	{136, 0, -1U, {"a pseudo terminal", TTY_TYPE__PTY, false}},
	{4, 1, 63, {"a virtual console", TTY_TYPE__VT, false}},
	{188, 0, -1U, {"a USB serial line", TTY_TYPE__SERIAL, false}},
	{204, 0, -1U, {"a serial line", TTY_TYPE__SERIAL, false}},
	/* those that cannot be dumped */
	{2, 0, -1U, {"a BSD pseudo terminal master", TTY_TYPE__UNKNOWN, true}},
	{3, 0, -1U, {"a BSD pseudo terminal", TTY_TYPE__UNKNOWN, false}},
	{4, 0, 0, {"the foreground virtual console", TTY_TYPE__UNKNOWN, false}},
	{4, 64, -1U, {"a serial line", TTY_TYPE__UNKNOWN, false}},
	{5, 3, -1U, {"a terminal", TTY_TYPE__UNKNOWN, false}},
	{229, 0, -1U, {"a hypervisor console", TTY_TYPE__UNKNOWN, false}},
};

struct tty_kind tty_kind_of(unsigned major, unsigned minor)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (major == kinds[i].major && minor >= kinds[i].minor_first &&
			minor <= kinds[i].minor_last)
			return kinds[i].kind;
	return (struct tty_kind){0};
}
