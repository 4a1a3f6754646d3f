/*
 * Terminals: which device is which, parameters in the form of the images, and queues that are
 * taken out of one pseudo terminal and put into another.
 * PROVES: F188
 */
#include <errno.h>

#include "test_proc.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "file/tty.h"

/* --- kinds --- */

static void kinds_by_device(void **state)
{
	(void)state;
	static const struct {
		unsigned major, minor;
		TtyType type;
		bool terminal, master;
	} known[] = {
		{5, 0, TTY_TYPE__CTTY, true, false},
		{5, 1, TTY_TYPE__CONSOLE, true, false},
		{5, 2, TTY_TYPE__PTY, true, true},
		{128, 3, TTY_TYPE__PTY, true, true},
		{136, 0, TTY_TYPE__PTY, true, false},
		{136, 100000, TTY_TYPE__PTY, true, false},
		{4, 1, TTY_TYPE__VT, true, false},
		{4, 63, TTY_TYPE__VT, true, false},
		{188, 0, TTY_TYPE__SERIAL, true, false},
		{204, 64, TTY_TYPE__SERIAL, true, false},
		/* never taken for those of Unix98 */
		{2, 176, TTY_TYPE__UNKNOWN, true, true},
		{3, 176, TTY_TYPE__UNKNOWN, true, false},
		{4, 0, TTY_TYPE__UNKNOWN, true, false},
		{4, 64, TTY_TYPE__UNKNOWN, true, false},
		{229, 0, TTY_TYPE__UNKNOWN, true, false},
		{1, 3, TTY_TYPE__UNKNOWN, false, false},
		{10, 200, TTY_TYPE__UNKNOWN, false, false},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct tty_kind k = tty_kind_of(known[i].major, known[i].minor);
		assert_int_equal(k.type, known[i].type);
		assert_int_equal(k.name != NULL, known[i].terminal);
		assert_int_equal(k.master, known[i].master);
	}
}

/* --- a pseudo terminal of the test's own --- */

struct ends {
	int master, slave;
};

static struct ends make_ends(void)
{
	struct ends e = {.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)};
	int unlocked = 0;
	if (e.master < 0 || ioctl(e.master, TIOCSPTLCK, &unlocked) < 0)
		skip();
	e.slave = ioctl(e.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (e.slave < 0)
		skip();
	return e;
}

static void close_ends(struct ends e)
{
	close(e.slave);
	close(e.master);
}

static void set(struct ends e, tcflag_t input, tcflag_t local)
{
	struct termios t;
	assert_int_equal(tcgetattr(e.slave, &t), 0);
	t.c_iflag = input;
	t.c_lflag = local;
	assert_int_equal(tcsetattr(e.slave, TCSANOW, &t), 0);
}

static bool is_silent(struct ends e)
{
	struct pollfd p = {.fd = e.slave, .events = POLLIN};
	return poll(&p, 1, 0) == 0;
}

/* A kernel worker delivers it, sooner or later; poll() waits for that if there is nothing else. */
static void type(struct ends e, const char *text)
{
	assert_int_equal(write(e.master, text, strlen(text)), strlen(text));
	is_silent(e);
}

static void need_line(struct ends e, const char *want)
{
	char buf[8192];
	struct pollfd p = {.fd = e.slave, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 2000), 1);
	ssize_t n = read(e.slave, buf, sizeof(buf));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, strlen(want));
}

/* --- parameters --- */

static void control_characters_are_packed(void **state)
{
	struct session *s = *state;
	struct ends e = make_ends();
	struct termios t = {0}, back = {0}; /* compared with what lies between the fields */
	assert_int_equal(tcgetattr(e.slave, &t), 0);
	for (int i = 0; i < 17; i++)
		t.c_cc[i] = (cc_t)(0x40 + i);
	assert_int_equal(tcsetattr(e.slave, TCSANOW, &t), 0);
	TtyInfoEntry info = TTY_INFO_ENTRY__INIT;
	assert_int_equal(tty_params_read(&s->arena, e.master, &info), 0);
	assert_true(tty_params_sane(&info));
	assert_int_equal(info.termios->n_c_cc, 19);
	assert_int_equal(info.termios->c_cc[0], 0x43424140);
	assert_int_equal(info.termios->c_cc[3], 0x4f4e4d4c);
	close_ends(e);
	e = make_ends();
	info.termios->c_cc[9] = 0xdeadbeef; /* the reference leaves junk there */
	assert_int_equal(tty_termios_apply(e.slave, &info), 0);
	assert_int_equal(tcgetattr(e.slave, &back), 0);
	assert_memory_equal(&t, &back, sizeof(t));
	info.termios->n_c_cc = 18;
	assert_false(tty_params_sane(&info));
	close_ends(e);
}

/* --- queues --- */

static struct pty_queues *copy(struct session *s, struct ends e, int want)
{
	struct pty_queues *q = arena_new(&s->arena, struct pty_queues);
	assert_int_equal(pty_queues_copy(e.master, e.slave, q), want);
	return q;
}

static struct ends refill(struct session *s, struct ends from, const struct pty_queues *q)
{
	TtyInfoEntry info = TTY_INFO_ENTRY__INIT;
	assert_int_equal(tty_params_read(&s->arena, from.slave, &info), 0);
	struct ends to = make_ends();
	assert_int_equal(pty_queues_fill(to.master, to.slave, &info, q), 0);
	return to;
}

static void lines_keep_their_ends(void **state)
{
	struct session *s = *state;
	struct ends e = make_ends();
	set(e, ICRNL, ICANON | ISIG | IEXTEN);
	type(e, "one\rtwo\004\004a\026\004b\026\n\nhalf");
	struct pty_queues *q = copy(s, e, 0);
	assert_int_equal(q->flow, PTY_FLOWS);
	assert_int_equal(q->input.len, 20);
	assert_memory_equal(q->input.data, "one\ntwo\004\004a\026\004b\026\n\nhalf", 20);
	struct ends all[] = {e, refill(s, e, q)};
	for (int i = 0; i < 2; i++) {
		need_line(all[i], "one\n");
		need_line(all[i], "two");
		need_line(all[i], "");
		need_line(all[i], "a\004b\n\n");
		assert_true(is_silent(all[i]));
		type(all[i], "\177\n");
		need_line(all[i], "hal\n");
		close_ends(all[i]);
	}
}

static void nothing_is_echoed_or_signalled_again(void **state)
{
	struct session *s = *state;
	struct ends e = make_ends();
	set(e, ICRNL | IXON, ICANON | ISIG | IEXTEN | ECHO);
	type(e, "x\026\003y\n");
	struct pty_queues *q = copy(s, e, 0);
	struct ends to = refill(s, e, q);
	char buf[64];
	ssize_t n = read(to.master, buf, sizeof(buf));
	assert_int_equal(n, 5);
	assert_memory_equal(buf, "x\003y\r\n", 5);
	need_line(to, "x\003y\n");
	close_ends(e);
	close_ends(to);
}

static void what_cannot_be_typed_is_told(void **state)
{
	struct session *s = *state;
	struct ends e = make_ends();
	set(e, 0, ICANON | IEXTEN);
	type(e, "a\026\nb\n");
	set(e, 0, ICANON); /* no quoting any more */
	struct pty_queues *q = copy(s, e, -EILSEQ);
	assert_true(q->input.inexact);
	close_ends(e);
}

static void output_stays_stopped(void **state)
{
	struct session *s = *state;
	struct ends e = make_ends();
	set(e, IXON, 0);
	assert_int_equal(write(e.slave, "text\n", 5), 5);
	type(e, "\023");
	struct pty_queues *q = copy(s, e, 0);
	assert_int_equal(q->flow, PTY_STOPPED_BY_CHAR);
	assert_int_equal(q->output.len, 6);
	struct ends to = refill(s, e, q);
	assert_true(write(to.slave, "x", 1) < 0);
	type(to, "\021");
	assert_int_equal(write(to.slave, "x", 1), 1);
	close_ends(e);
	close_ends(to);
}

/* Copied while a kernel worker has the input, or has not even begun. */
static void input_on_its_way_is_not_missed(void **state)
{
	struct session *s = *state;
	for (int i = 0; i < 50; i++) {
		struct ends e = make_ends();
		set(e, IXON, i % 2 ? ICANON : 0);
		assert_int_equal(write(e.master, "one\n", 4), 4);
		if (i % 4 < 2)
			usleep(50);
		assert_int_equal(write(e.master, "two\n\023", 5), 5);
		struct pty_queues *q = copy(s, e, 0);
		assert_int_equal(q->input.len, 8);
		assert_int_equal(q->flow, PTY_STOPPED_BY_CHAR);
		close_ends(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_by_device),
		with_session(control_characters_are_packed),
		with_session(lines_keep_their_ends),
		with_session(nothing_is_echoed_or_signalled_again),
		with_session(what_cannot_be_typed_is_told),
		with_session(output_stays_stopped),
		with_session(input_on_its_way_is_not_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
