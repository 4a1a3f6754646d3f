/*
 * unix_outside DIR KIND: a unix socket (50) with somebody outside the tree, or in a state that
 * cannot be dumped, as test_unix.py sets it up; answers when asked and reports.
 * VARIANTS: scenario
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;

static void set_name(const char *text)
{
	memcpy(name.sun_path, text, strlen(text));
	name_len = offsetof(struct sockaddr_un, sun_path) + strlen(text);
	if (text[0] == '@')
		name.sun_path[0] = 0;
}

static int listening(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&name, name_len) && !listen(fd, 5));
	return fd;
}

static int client(int type)
{
	int fd = socket(AF_UNIX, type, 0);

	NEED(fd >= 0 && !connect(fd, (struct sockaddr *)&name, name_len));
	return fd;
}

/* 50 and what the test waits for. */
static int early;

static void send_file(int to, int file)
{
	char control[CMSG_SPACE(sizeof(file))] = {0};
	struct iovec iov = {"early", 5};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(file)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &file, sizeof(file));
	NEED(sendmsg(to, &msg, 0) == 5);
}

static void build(const char *kind)
{
	int pair[2], fd = 50;

	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	if (!strcmp(kind, "log_and_path")) {
		set_name(in_dir("path"));
		listening();
		name = (struct sockaddr_un){.sun_family = AF_UNIX};
	}
	if (!strncmp(kind, "log", 3)) {
		set_name(in_dir("log"));
		fd = client(SOCK_DGRAM);
		NEED(write(fd, "started", 7) == 7);
	} else if (!strcmp(kind, "abstract")) {
		set_name("@taken");
		fd = listening();
	} else if (!strcmp(kind, "path")) {
		set_name(in_dir("path"));
		fd = listening();
	} else if (!strcmp(kind, "sent")) { /* a file waits to be accepted */
		set_name("@sent");
		fd = listening();
		early = client(SOCK_STREAM);
		send_file(early, pair[0]);
	} else if (!strcmp(kind, "closed")) { /* a client with a name, that left before */
		sa_family_t any = AF_UNIX;
		int leaving = socket(AF_UNIX, SOCK_STREAM, 0);
		set_name("@closed");
		fd = listening();
		NEED(!bind(leaving, (struct sockaddr *)&any, sizeof(any)));
		NEED(!connect(leaving, (struct sockaddr *)&name, name_len));
		close(leaving);
	} else if (!strcmp(kind, "early")) { /* an urgent byte waits to be accepted */
		set_name("@early");
		fd = listening();
		early = client(SOCK_STREAM);
		NEED(send(early, "!", 1, MSG_OOB) == 1);
	} else if (!strcmp(kind, "urgent")) {
		fd = pair[0];
		NEED(send(pair[1], "!", 1, MSG_OOB) == 1);
	}
	if (fd != 50)
		NEED(dup2(fd, 50) == 50 && !close(fd));
}

int main(int argc, char **argv)
{
	char buf[64];

	setup(argc, argv);
	const char *kind = argv[2];
	build(kind);
	park();
	if (!strcmp(kind, "stream")) {
		NEED(read(50, buf, 64) == 8 && !memcmp(buf, "question", 8));
		NEED(write(50, "answer", 6) == 6);
	} else if (!strcmp(kind, "log")) {
		NEED(write(50, "ended", 5) == 5);
	} else if (!strcmp(kind, "abstract") || !strcmp(kind, "path")) {
		close(client(SOCK_STREAM));
		NEED(accept(50, NULL, NULL) >= 0);
	}
	if (argc > 3 && !strcmp(argv[3], "dropped")) { /* by --skip-in-flight */
		NEED(fcntl(50, F_SETFL, O_NONBLOCK) == 0);
		NEED(accept(50, NULL, NULL) == -1 && errno == EAGAIN);
		if (early)
			NEED(read(early, buf, 1) == -1 && errno == ECONNRESET);
		close(client(SOCK_STREAM));
		NEED(accept(50, NULL, NULL) >= 0);
	}
	ok();
}
