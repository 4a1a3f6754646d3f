/*
 * One request by libcriu: `one BINARY dump|restore|self DIR [PID]`. The tool is BINARY.
 *
 * Exit status: 0 it succeeded, 3 it did not and the library said so, 1 something else is wrong.
 * "self" has itself dumped and goes on; or, restored, ends with 0, too.
 */
#include <criu/criu.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int over;

static void *spin(void *arg)
{
	unsigned long *count = arg;
	while (!over) {
		++*count;
		usleep(500);
	}
	return arg;
}

static int dump_self(void)
{
	unsigned long count = 0, before;
	pthread_t thread;
	void *value;
	if (pthread_create(&thread, NULL, spin, &count))
		return 1;
	pid_t pid = getpid();
	int r = criu_dump();
	before = count;
	for (int i = 0; i < 4000 && count == before; i++)
		usleep(500);
	if (getpid() != pid || count == before)
		return 1; /* the other thread does not go on */
	over = 1;
	if (pthread_join(thread, &value) || value != &count)
		return 1;
	return r < 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int dir = open(argv[3], O_DIRECTORY | O_CLOEXEC), r;
	if (dir < 0 || criu_init_opts() < 0 || criu_set_service_binary(argv[1]) < 0)
		return 1;
	criu_set_images_dir_fd(dir);
	criu_set_log_level(CRIU_LOG_DEBUG);
	if (!strcmp(argv[2], "self")) {
		criu_set_log_file("dump.log");
		return dump_self();
	}
	criu_set_log_file(strcmp(argv[2], "dump") ? "restore.log" : "dump.log");
	if (argc > 4)
		criu_set_pid(atoi(argv[4]));
	r = strcmp(argv[2], "dump") ? criu_restore() : criu_dump();
	if (r < 0)
		printf("%d (errno %d)\n", r, errno);
	return r < 0 ? 3 : 0;
}
