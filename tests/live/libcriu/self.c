/*
 * A user of libcriu that has itself dumped: `self binary|socket PATH DIR`. First it goes on and is
 * told so; then the dump ends it, and after a restore it is told that. Its verdict goes to
 * DIR/result.
 */
#include <criu/criu.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256], heard[256];

static void say(const char *text)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/result", dir);
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(9);
	exit(0);
}

#define NEED(cond)                                                                            \
	do {                                                                                  \
		char why[256];                                                                \
		snprintf(why, sizeof(why), "BAD line %d: %s (errno %d)", __LINE__, #cond, errno); \
		if (!(cond))                                                                  \
			say(why);                                                             \
	} while (0)

static int hear(char *action, criu_notify_arg_t na)
{
	(void)na;
	strcat(strcat(heard, action), " ");
	return 0;
}

static int images(const char *name)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	mkdir(path, 0755);
	return open(path, O_DIRECTORY | O_CLOEXEC);
}

/* Another thread and a connection of the process's own must come along. */
static void *echo(void *arg)
{
	const int *fd = arg;
	char c;
	while (read(*fd, &c, 1) == 1 && write(*fd, &c, 1) == 1)
		;
	return NULL;
}

static void need_echo(int fd)
{
	char c = 'x';
	NEED(write(fd, &c, 1) == 1 && read(fd, &c, 1) == 1 && c == 'x');
}

static int highest_fd(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

int main(int argc, char **argv)
{
	int pair[2], before;
	pid_t pid = getpid();
	pthread_t thread;
	char pattern[4096];
	if (argc != 4)
		return 2;
	snprintf(dir, sizeof(dir), "%s", argv[3]);
	memset(pattern, 'p', sizeof(pattern));
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	NEED(pthread_create(&thread, NULL, echo, &pair[1]) == 0);
	NEED(criu_init_opts() == 0);
	NEED((strcmp(argv[1], "binary") ? criu_set_service_address(argv[2])
					: criu_set_service_binary(argv[2])) == 0);
	criu_set_notify_cb(hear);
	criu_set_log_level(CRIU_LOG_DEBUG);

	int one = images("one"), two = images("two");
	before = highest_fd();
	criu_set_images_dir_fd(one);
	criu_set_leave_running(true);
	NEED(criu_dump() == 0);
	need_echo(pair[0]);
	NEED(getpid() == pid && before == highest_fd());
	NEED(strcmp(heard, "pre-dump ") == 0); /* while it is stopped, nobody can ask it */
	NEED(faccessat(one, "inventory.img", R_OK, 0) == 0);

	criu_set_images_dir_fd(two);
	criu_set_leave_running(false);
	int r = criu_dump();
	if (r != 1) {
		char why[64];
		snprintf(why, sizeof(why), "BAD criu_dump() returned %d", r);
		say(why);
	}
	need_echo(pair[0]);
	NEED(getpid() == pid && before == highest_fd());
	for (size_t i = 0; i < sizeof(pattern); i++)
		NEED(pattern[i] == 'p');
	close(pair[0]);
	NEED(pthread_join(thread, NULL) == 0);
	say("OK");
}
