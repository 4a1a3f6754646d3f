/*
 * Bytes that wait in a pseudo terminal, both ways: taken out and put back.
 *
 * The kernel shows no queue without emptying it, and a line that is still being typed not even
 * then: it can only be read with ICANON off, which forgets where lines end.  So everything is read
 * as its reader would, line by line; what then is left with ICANON off is the unfinished line.
 * Input is kept as it would have to be typed: the end-of-file character for a line that ended by
 * one, the literal-next character before what would end a line or be taken for these two.  It is
 * put back by TIOCSTI, which delivers at once, while nothing but these is special and nothing is
 * echoed; what the line discipline has no room for, through the master, as it came.  Output is
 * written to the slave with output processing off.
 *
 * Whether the next byte would be taken literally (^V was the last one typed), only that byte can
 * tell: a newline is typed, which ends a line or does not.  It is kept as the literal-next
 * character at the end of the input.
 *
 * Locked parameters are unlocked for it. TIOCPKT_* bytes are switched off meanwhile.  A stopped output is set going for it, and stopped
 * again: TCOON tells a stop by TCOOFF, which only that undoes, from one by the stop character.
 * SIGTTOU and SIGTTIN must be blocked.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/poll.h>
#include <unistd.h>

#include "file/tty.h"
#include "kernel/syscalls.h"

enum { DISABLED = 0, CHUNK = 1024, LDISC_ROOM = 4095 };

struct pty {
	int master, slave;
	int master_flags;
	int packet;
	struct termios2 real;
	struct termios locked; /* bits that nobody may change: ECHO would repeat what we type */
};

static bool is_canonical(const struct termios2 *t)
{
	return t->c_lflag & ICANON && !(t->c_lflag & EXTPROC);
}

/* The same reading of input, with none of its side effects. */
static struct termios2 quiet_termios(const struct termios2 *real)
{
	struct termios2 t = *real;
	t.c_iflag &= IUTF8;
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_lflag &= ICANON | EXTPROC | IEXTEN;
	t.c_cc[VERASE] = t.c_cc[VKILL] = t.c_cc[VWERASE] = t.c_cc[VREPRINT] = DISABLED;
	return t;
}

static int set_termios(const struct pty *p, const struct termios2 *t)
{
	return ioctl(p->slave, TCSETS2, t) < 0 ? -errno : 0;
}

/* Nothing is asked of the kernel where there are none, as nearly always. */
static int set_locks(const struct pty *p, const struct termios *locks)
{
	static const struct termios none;
	if (!memcmp(&p->locked, &none, sizeof(none)))
		return 0;
	return ioctl(p->slave, TIOCSLCKTRMIOS, locks) < 0 ? -errno : 0;
}

static int begin(struct pty *p, int master, int slave)
{
	*p = (struct pty){.master = master, .slave = slave};
	p->master_flags = fcntl(master, F_GETFL);
	int off = 0;
	if (p->master_flags < 0 || ioctl(slave, TCGETS2, &p->real) < 0 ||
		ioctl(master, TIOCGPKT, &p->packet) < 0 ||
		fcntl(master, F_SETFL, p->master_flags | O_NONBLOCK) < 0 ||
		ioctl(slave, TIOCGLCKTRMIOS, &p->locked) < 0 ||
		(p->packet && ioctl(master, TIOCPKT, &off) < 0))
		return -errno;
	return set_locks(p, &(struct termios){0});
}

static int end(const struct pty *p)
{
	int r = set_locks(p, &p->locked);
	if ((p->packet && ioctl(p->master, TIOCPKT, &p->packet) < 0) ||
		fcntl(p->master, F_SETFL, p->master_flags) < 0)
		return -errno;
	return r;
}

/* --- out --- */

static int append(struct pty_bytes *b, const char *data, size_t len)
{
	if (len > sizeof(b->data) - b->len)
		return -EFBIG;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static bool is_char(const struct termios2 *t, unsigned which, char c)
{
	return t->c_cc[which] != DISABLED && t->c_cc[which] == (cc_t)c;
}

static bool ends_line(const struct termios2 *t, char c)
{
	return c == '\n' || is_char(t, VEOL, c) || (t->c_lflag & IEXTEN && is_char(t, VEOL2, c));
}

/* A byte of a line that has no meaning there. Control characters might have one elsewhere. */
static int append_literal(struct pty_bytes *b, const struct termios2 *t, char c)
{
	bool can_quote = t->c_lflag & IEXTEN && t->c_cc[VLNEXT] != DISABLED;
	bool must_quote =
		ends_line(t, c) || is_char(t, VEOF, c) || (can_quote && is_char(t, VLNEXT, c));
	bool control = ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
	int r = 0;
	if (can_quote && (must_quote || control))
		r = append(b, (const char *)&t->c_cc[VLNEXT], 1);
	b->inexact |= must_quote && !can_quote;
	return r < 0 ? r : append(b, &c, 1);
}

static int append_line(
	struct pty_bytes *b, const struct termios2 *t, const char *line, size_t len, bool whole)
{
	bool ended = whole && len && ends_line(t, line[len - 1]);
	int r = 0;
	for (size_t i = 0; i < len - ended && r >= 0; i++)
		r = append_literal(b, t, line[i]);
	if (r >= 0 && ended)
		return append(b, &line[len - 1], 1);
	if (r < 0 || !whole)
		return r;
	b->inexact |= t->c_cc[VEOF] == DISABLED;
	return append(b, (const char *)&t->c_cc[VEOF], 1);
}

static ssize_t read_some(int fd, char *buf, size_t len)
{
	ssize_t n;
	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* poll() also makes the kernel deliver what is on its way to fd's queue. 1, 0 or -errno. */
static int has_input(int fd)
{
	int events = sys_poll_now(fd, POLLIN);
	return events < 0 ? events : (events & POLLIN) != 0;
}

/* At once, if wanted and allowed; otherwise by way of the kernel's worker. */
static int type_char(const struct pty *p, char c, bool at_once)
{
	if (at_once && ioctl(p->slave, TIOCSTI, &c) == 0)
		return 0;
	if (write(p->master, &c, 1) != 1)
		return -errno;
	int r = has_input(p->slave);
	return r < 0 ? r : 0;
}

static int take_raw(int fd, struct pty_bytes *b, const struct termios2 *quoted_for)
{
	char buf[CHUNK];
	int r;
	while ((r = has_input(fd)) > 0) {
		ssize_t n = read_some(fd, buf, sizeof(buf));
		if (n == -EAGAIN || n == -EIO || n == 0)
			return 0; /* EIO: of a master whose slaves are closed, after the last byte
				   */
		if (n < 0)
			return (int)n;
		r = quoted_for ? append_line(b, quoted_for, buf, (size_t)n, /* whole= */ false)
			       : append(b, buf, (size_t)n);
		if (r < 0)
			break;
	}
	return r;
}

static int take_lines(const struct pty *p, struct pty_bytes *b)
{
	char line[8192]; /* the kernel's lines have up to 4096 bytes */
	int r;
	while ((r = has_input(p->slave)) > 0) {
		ssize_t n = read_some(p->slave, line, sizeof(line));
		if (n == -EAGAIN)
			return 0;
		r = n < 0 ? (int)n : append_line(b, &p->real, line, (size_t)n, true);
		if (r < 0)
			break;
	}
	return r;
}

/* Of an unfinished line only the newline that was typed to end it. */
static int take_ended_line(const struct pty *p, struct pty_bytes *b)
{
	char line[8192];
	ssize_t n = read_some(p->slave, line, sizeof(line));
	if (n < 0)
		return (int)n;
	return append_line(b, &p->real, line, (size_t)(n ? n - 1 : 0), /* whole= */ false);
}

/* If it did not end the line, it was taken literally, and was kept as that: quoted. */
static int take_unfinished_line(const struct pty *p, struct pty_bytes *b)
{
	struct termios2 quiet = quiet_termios(&p->real);
	int r = set_termios(p, &quiet);
	if (r >= 0)
		r = type_char(p, '\n', /* at_once= */ true);
	if (r >= 0)
		r = has_input(p->slave);
	if (r)
		return r < 0 ? r : take_ended_line(p, b);
	quiet.c_lflag &= ~(tcflag_t)ICANON;
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	r = set_termios(p, &quiet);
	if (r >= 0)
		r = take_raw(p->slave, b, &p->real);
	if (r >= 0 && b->len && b->data[b->len - 1] == '\n')
		b->len--;
	return r;
}

/*
 * Behind a full line discipline more may wait, which means nothing before there is room for it:
 * then it is taken as bytes, lest it makes signals and echoes now and once more when it is put back.
 */
static int take_bytes(const struct pty *p, struct pty_bytes *b)
{
	int stored = 0;
	int full = p->real.c_iflag & PARMRK ? LDISC_ROOM - 2 : LDISC_ROOM;
	bool is_full = ioctl(p->slave, FIONREAD, &stored) == 0 && stored >= full;
	struct termios2 t = is_full ? quiet_termios(&p->real) : p->real;
	t.c_cc[VMIN] = 1; /* poll() and read() wait for so many */
	t.c_cc[VTIME] = 0;
	int r = set_termios(p, &t);
	return r < 0 ? r : take_raw(p->slave, b, NULL);
}

static int be_quiet(const struct pty *p)
{
	struct termios2 quiet = quiet_termios(&p->real);
	return set_termios(p, &quiet);
}

static int is_stopped(const struct pty *p)
{
	int events = sys_poll_now(p->slave, POLLOUT);
	return events < 0 ? events : !(events & POLLOUT);
}

/* With the master's queue empty, nothing else keeps the slave from writing. */
static int take_flow(const struct pty *p, enum pty_flow *ret)
{
	int stopped = is_stopped(p), still = 0;
	*ret = PTY_FLOWS;
	if (stopped <= 0)
		return stopped;
	ioctl(p->slave, TCXONC, TCOON);
	still = is_stopped(p);
	*ret = still ? PTY_STOPPED_BY_CHAR : PTY_STOPPED_BY_IOCTL;
	return still < 0 ? still : 0;
}

/*
 * Input may still be on its way (a kernel worker delivers it): polling an empty queue brings it in,
 * so it is read first, to the end, under the terminal's own parameters.  Only then is it known
 * whether there was a stop character in it.
 */
static int take(const struct pty *p, struct pty_queues *q)
{
	bool lines = is_canonical(&p->real);
	int r = take_raw(p->master, &q->output, NULL);
	if (r >= 0)
		r = lines ? take_lines(p, &q->input) : take_bytes(p, &q->input);
	if (r >= 0)
		r = take_raw(p->master, &q->output, NULL); /* echoes */
	if (r < 0)
		return r;
	r = take_flow(p, &q->flow);
	if (r < 0)
		return r;
	r = lines ? take_unfinished_line(p, &q->input) : be_quiet(p);
	/* echoes that had found no room */
	if (r >= 0 && write(p->slave, "", 0) < 0)
		r = errno == EAGAIN ? 0 : -errno;
	if (r >= 0)
		r = take_raw(p->master, &q->output, NULL);
	return r >= 0 && q->input.inexact ? -EILSEQ : r;
}

/* --- in --- */

static int put_bytes(int to, int reader, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(to, data, len < CHUNK ? len : CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : -ENOSPC;
		data += n;
		len -= (size_t)n;
		int r = has_input(reader);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * As many bytes of input as the line discipline stores: all but one of its buffer, and the end of
 * the line that fills it. Not more than it stores, for TIOCSTI would drop the rest.
 */
static size_t put_directly(
	const struct pty *p, const struct termios2 *t, const struct pty_bytes *b, size_t end)
{
	bool lines = is_canonical(t), whole_line = false;
	bool quotes = lines && t->c_lflag & IEXTEN;
	size_t stored = 0, at = 0;
	while (at < end && (stored < LDISC_ROOM || (lines && !whole_line))) {
		size_t len = quotes && is_char(t, VLNEXT, b->data[at]) && at + 1 < end ? 2 : 1;
		for (size_t i = 0; i < len; i++)
			if (ioctl(p->slave, TIOCSTI, &b->data[at + i]) < 0)
				return at + i;
		whole_line |=
			len == 1 && (ends_line(t, b->data[at]) || is_char(t, VEOF, b->data[at]));
		at += len;
		stored++;
	}
	return at;
}

/* The first len bytes. *all_stored: none of them is left for the kernel's worker. */
static int put_input(const struct pty *p, const struct termios2 *quiet, const struct pty_bytes *b,
	size_t len, bool *all_stored)
{
	size_t done = put_directly(p, quiet, b, len);
	*all_stored = done == len;
	return put_bytes(p->master, p->slave, b->data + done, len - done);
}

/* Its last byte quotes one that was not typed yet. */
static bool ends_quoting(const struct termios2 *t, const struct pty_bytes *b)
{
	size_t at = 0;
	bool quotes = false;
	for (; is_canonical(t) && t->c_lflag & IEXTEN && at < b->len; at += quotes ? 2 : 1)
		quotes = is_char(t, VLNEXT, b->data[at]);
	return quotes && at > b->len;
}

static int put_flow(const struct pty *p, struct termios2 quiet, enum pty_flow flow)
{
	if (flow == PTY_STOPPED_BY_IOCTL)
		return ioctl(p->slave, TCXONC, TCOOFF) < 0 ? -errno : 0;
	if (flow == PTY_FLOWS)
		return 0;
	quiet.c_iflag |= IXON;
	quiet.c_cc[VSTOP] = 'S' & 0x1f;
	int r = set_termios(p, &quiet);
	return r >= 0 && ioctl(p->slave, TIOCSTI, &quiet.c_cc[VSTOP]) < 0 ? -errno : r;
}

static int put(const struct pty *p, const struct termios2 *real, const struct pty_queues *q)
{
	struct termios2 quiet = quiet_termios(real);
	int r = set_termios(p, &quiet);
	if (r >= 0)
		r = put_bytes(p->slave, p->master, q->output.data, q->output.len);
	bool quoting = ends_quoting(&quiet, &q->input), all_stored = true;
	if (r >= 0)
		r = put_input(p, &quiet, &q->input, q->input.len - quoting, &all_stored);
	if (r >= 0)
		r = put_flow(p, quiet, q->flow); /* whose stop character must not be quoted */
	if (r >= 0 && quoting)
		r = type_char(p, (char)quiet.c_cc[VLNEXT], all_stored);
	int back = set_termios(p, real);
	return r < 0 ? r : back;
}

int pty_queues_copy(int master, int slave, struct pty_queues *ret)
{
	struct pty p;
	int r = begin(&p, master, slave);
	if (r < 0)
		return r;
	r = take(&p, ret);
	int back = put(&p, &p.real, ret); /* whatever came out, even if not all did */
	int ended = end(&p);
	if (r >= 0)
		r = back;
	return r < 0 ? r : ended;
}

int pty_queues_fill(int master, int slave, const TtyInfoEntry *info, const struct pty_queues *q)
{
	struct pty p;
	int r = begin(&p, master, slave);
	if (r < 0)
		return r;
	r = tty_termios_apply(slave, info); /* for their bits, with nothing queued yet */
	if (r >= 0 && ioctl(slave, TCGETS2, &p.real) < 0)
		r = -errno;
	if (r >= 0)
		r = put(&p, &p.real, q);
	int ended = end(&p);
	return r < 0 ? r : ended;
}
