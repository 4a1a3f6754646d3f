/*
 * What the machine itself takes for the work that no tool can avoid, in ms, one figure a line.
 * usage: floors MIB FILE     FILE on the file system where the images go
 *
 *   fork_exec_wait     fork + exec + wait of true
 *   write              a populated buffer of MIB into a new file
 *   read_1, read_2     that file into fresh memory, by one and by two threads
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

struct part {
	int fd;
	char *to;
	off_t from;
	size_t len;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static char *fresh_memory(size_t len)
{
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		die("mmap");
	return m;
}

static double time_fork(void)
{
	static char *const argv[] = {"true", NULL};
	double start = now_ms();
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		execv("/bin/true", argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return now_ms() - start;
}

static double time_write(const char *path, size_t len)
{
	char *m = fresh_memory(len);
	memset(m, 0x5a, len);
	double start = now_ms();
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, m + done, len - done);
		if (n <= 0)
			die(path);
		done += (size_t)n;
	}
	close(fd);
	double took = now_ms() - start;
	munmap(m, len);
	return took;
}

static void *read_part(void *arg)
{
	const struct part *p = arg;
	for (size_t done = 0; done < p->len;) {
		size_t want = p->len - done < CHUNK ? p->len - done : CHUNK;
		ssize_t n = pread(p->fd, p->to + done, want, p->from + (off_t)done);
		if (n <= 0)
			die("pread");
		done += (size_t)n;
	}
	return NULL;
}

static double time_read(const char *path, size_t len, size_t n_threads)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	double start = now_ms();
	char *m = fresh_memory(len);
	struct part parts[2];
	pthread_t threads[2];
	for (size_t i = 0; i < n_threads; i++) {
		size_t from = len / n_threads * i;
		parts[i] = (struct part){fd, m + from, (off_t)from, len / n_threads};
		if (i && pthread_create(&threads[i], NULL, read_part, &parts[i]))
			die("pthread_create");
	}
	read_part(&parts[0]);
	for (size_t i = 1; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	double took = now_ms() - start;
	munmap(m, len);
	close(fd);
	return took;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	size_t len = (size_t)atol(argv[1]) << 20;
	printf("fork_exec_wait %.3f\n", time_fork());
	printf("write %.3f\n", time_write(argv[2], len));
	printf("read_1 %.3f\n", time_read(argv[2], len, 1));
	printf("read_2 %.3f\n", time_read(argv[2], len, 2));
	unlink(argv[2]);
	return 0;
}
