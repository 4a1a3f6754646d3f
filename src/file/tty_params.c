/*
 * The parameters of a terminal: termios, what of them is locked, and the window size.
 *
 * The kernel's own struct (asm/termbits.h) is used, not that of the C library, which has another
 * layout.  Asked on a master, all of these are those of its slave.  The image packs the control
 * characters four to a word, as the reference does by copying bytes into words (spec 14.2).
 */
#include <asm/termbits.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "file/tty.h"

enum { N_WORDS = NCCS };

static TermiosEntry *to_entry(struct arena *a, const struct termios2 *t)
{
	TermiosEntry *e = arena_new(a, TermiosEntry);
	termios_entry__init(e);
	e->c_iflag = t->c_iflag;
	e->c_oflag = t->c_oflag;
	e->c_cflag = t->c_cflag;
	e->c_lflag = t->c_lflag;
	e->c_line = t->c_line;
	if ((t->c_cflag & CBAUD) == BOTHER) {
		e->c_ispeed = t->c_ispeed;
		e->c_ospeed = t->c_ospeed;
	}
	e->n_c_cc = N_WORDS;
	e->c_cc = arena_array(a, uint32_t, N_WORDS);
	for (unsigned i = 0; i < NCCS; i++)
		e->c_cc[i / 4] |= (uint32_t)t->c_cc[i] << (i % 4 * 8);
	return e;
}

static struct termios2 from_entry(const TermiosEntry *e)
{
	struct termios2 t = {
		.c_iflag = e->c_iflag,
		.c_oflag = e->c_oflag,
		.c_cflag = e->c_cflag,
		.c_lflag = e->c_lflag,
		.c_line = (cc_t)e->c_line,
		.c_ispeed = e->c_ispeed,
		.c_ospeed = e->c_ospeed,
	};
	for (unsigned i = 0; i < NCCS; i++)
		t.c_cc[i] = (cc_t)(e->c_cc[i / 4] >> (i % 4 * 8));
	return t;
}

bool tty_params_sane(const TtyInfoEntry *e)
{
	const TermiosEntry *parts[] = {e->termios, e->termios_locked};
	for (size_t i = 0; i < 2; i++)
		if (parts[i] && parts[i]->n_c_cc < N_WORDS)
			return false;
	return !e->termios == !e->winsize;
}

int tty_params_read(struct arena *a, int fd, TtyInfoEntry *e)
{
	struct termios2 now;
	struct termios locked;
	struct winsize size;
	if (ioctl(fd, TCGETS2, &now) < 0 || ioctl(fd, TIOCGLCKTRMIOS, &locked) < 0 ||
		ioctl(fd, TIOCGWINSZ, &size) < 0)
		return -errno;
	struct termios2 locked2 = {0};
	memcpy(&locked2, &locked, sizeof(locked)); /* the same but for the speeds */
	e->termios = to_entry(a, &now);
	e->termios_locked = to_entry(a, &locked2);
	e->winsize = arena_new(a, WinsizeEntry);
	winsize_entry__init(e->winsize);
	e->winsize->ws_row = size.ws_row;
	e->winsize->ws_col = size.ws_col;
	e->winsize->ws_xpixel = size.ws_xpixel;
	e->winsize->ws_ypixel = size.ws_ypixel;
	return 0;
}

/* Locks come last: they would keep the values from being set. */
int tty_termios_apply(int fd, const TtyInfoEntry *e)
{
	if (!e->termios)
		return 0;
	struct termios2 want = from_entry(e->termios);
	if (ioctl(fd, TCSETS2, &want) < 0)
		return -errno;
	if (!e->termios_locked)
		return 0;
	struct termios2 locked2 = from_entry(e->termios_locked);
	struct termios locked, now;
	memcpy(&locked, &locked2, sizeof(locked));
	if (ioctl(fd, TIOCGLCKTRMIOS, &now) == 0 && memcmp(&now, &locked, sizeof(now)) == 0)
		return 0;
	return ioctl(fd, TIOCSLCKTRMIOS, &locked) < 0 ? -errno : 0;
}

int tty_winsize_apply(int fd, const TtyInfoEntry *e)
{
	if (!e->winsize)
		return 0;
	struct winsize size = {
		.ws_row = (unsigned short)e->winsize->ws_row,
		.ws_col = (unsigned short)e->winsize->ws_col,
		.ws_xpixel = (unsigned short)e->winsize->ws_xpixel,
		.ws_ypixel = (unsigned short)e->winsize->ws_ypixel,
	};
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}
