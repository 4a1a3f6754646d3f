/*
 * Gives a harness each file that is named, or is in a directory that is named, once.  Prints the
 * one it is at if the harness does not come back from it.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { SECONDS_EACH = 100 }; /* far beyond what any takes, even on a busy machine */

static char at[4096]; /* the file */

static void tell(int signo)
{
	static const char text[] = ": the harness did not come back from it\n";
	if (write(STDERR_FILENO, at, strlen(at)) > 0 &&
		write(STDERR_FILENO, text, sizeof(text) - 1) > 0)
		raise(signo);
	_exit(1);
}

static void replay(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0);
	size_t size;
	_cleanup_free_ char *text = fuzz_slurp(fd, &size);
	/* exactly as long: what reads beyond it is found by the sanitizers, or valgrind */
	_cleanup_free_ uint8_t *data = malloc(size ? size : 1);
	MUST(data);
	memcpy(data, text, size);
	snprintf(at, sizeof(at), "%s", path);
	alarm(SECONDS_EACH);
	LLVMFuzzerTestOneInput(data, size);
	alarm(0);
}

static size_t replay_all(const char *path)
{
	_cleanup_dir_ DIR *dir = opendir(path);
	size_t n = 0;
	if (!dir) {
		replay(path);
		return 1;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char file[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		n += replay_all(file);
	}
	return n;
}

int main(int argc, char **argv)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i],
			&(struct sigaction){.sa_handler = tell, .sa_flags = (int)SA_RESETHAND},
			NULL);
	LLVMFuzzerInitialize(&argc, &argv);
	size_t n = 0;
	for (int i = 1; i < argc; i++)
		n += replay_all(argv[i]);
	fprintf(stderr, "%zu inputs replayed\n", n);
	return n ? 0 : 1;
}
