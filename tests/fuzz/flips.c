/*
 * Every byte of every image of a set changed, and every image cut at every length: up to where a
 * restore would fork, and as crit decode and encode have it.  Each case is an error or none, within
 * a second of processor time, and without memory that the size of the set does not justify.
 *
 * usage: flips [--every N] IMAGES...; of all cases each N-th is tried
 */
#include "set.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	CASE_S = 200,   /* that one may take on a machine that is busy with others */
	MEMORY_KB = 96 << 10, /* that all together may need beyond what the unchanged set needs */
	PAGES_STEP = 4099,    /* of contents of memory, which only a restore looks at */
};

struct run {
	struct set_dir dir;
	unsigned long every, n, tried, refused;
	long memory_kb;
};

static char at[512]; /* the case */

static void tell(int signo)
{
	static const char text[] = ": it did not come back from this\n";
	if (write(STDERR_FILENO, at, strlen(at)) > 0 &&
		write(STDERR_FILENO, text, sizeof(text) - 1) > 0)
		raise(signo);
	_exit(1);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:max_allocation_size_mb=64:handle_segv=0:handle_abort=0";
}

static uint64_t cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static long memory_kb(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return use.ru_maxrss;
}

/* The directory as it is now; the image that was changed. */
static void try_it(struct run *r, int fd, bool records)
{
	uint64_t start = cpu_ms();
	alarm(CASE_S);
	r->refused += set_restore(r->dir.path) < 0;
	if (records) {
		size_t size;
		_cleanup_free_ char *data = fuzz_slurp(fd, &size);
		LLVMFuzzerTestOneInput((const uint8_t *)data, size);
	}
	alarm(0);
	r->tried++;
	uint64_t took = cpu_ms() - start;
	if (took > 1000 || memory_kb() > r->memory_kb + MEMORY_KB) {
		fprintf(stderr, "%s: %ju ms, %ld KiB of memory\n", at, (uintmax_t)took,
			memory_kb());
		exit(1);
	}
}

static bool chosen(struct run *r, const char *name, size_t offset, const char *what)
{
	if (r->n++ % r->every)
		return false;
	snprintf(at, sizeof(at), "%s, byte %zu %s", name, offset, what);
	return true;
}

static void flip_all(struct run *r, int fd, const char *name, const char *data, size_t size,
	size_t step, bool records)
{
	static const struct {
		const char *what;
		uint8_t flip, add;
	} changes[] = {
		{"inverted", 0xff, 0},
		{"plus 1", 0, 1},
		{"minus 1", 0, 0xff},
		{"with bit 0 changed", 1, 0},
		{"with bit 1 changed", 2, 0},
		{"with bit 3 changed", 8, 0},
		{"with bit 6 changed", 0x40, 0},
		{"with bit 7 changed", 0x80, 0},
	};
	for (size_t i = 0; i < size; i += step)
		for (size_t k = 0; k < sizeof(changes) / sizeof(*changes); k++) {
			if (!chosen(r, name, i, changes[k].what))
				continue;
			uint8_t byte =
				(uint8_t)((uint8_t)data[i] ^ changes[k].flip) + changes[k].add;
			MUST(pwrite(fd, &byte, 1, (off_t)i) == 1);
			try_it(r, fd, records);
			MUST(pwrite(fd, data + i, 1, (off_t)i) == 1);
		}
}

static void cut_all(struct run *r, int fd, const char *name, const char *data, size_t size,
	size_t step, bool records)
{
	for (size_t len = 0; len < size; len += step) {
		if (!chosen(r, name, len, "and all behind it cut off"))
			continue;
		MUST(ftruncate(fd, (off_t)len) == 0);
		try_it(r, fd, records);
		MUST(pwrite(fd, data + len, size - len, (off_t)len) == (ssize_t)(size - len));
	}
}

static void damage(struct run *r, const char *name)
{
	enum image_type type;
	uint64_t id;
	if (!image_parse_name(name, &type, &id))
		return;
	_cleanup_close_ int fd = openat(r->dir.fd, name, O_RDWR | O_CLOEXEC);
	MUST(fd >= 0);
	size_t size;
	_cleanup_free_ char *data = fuzz_slurp(fd, &size);
	bool records = image_kind(type)->record;
	size_t step = type == IMG_PAGES ? PAGES_STEP : 1;
	flip_all(r, fd, name, data, size, step, records);
	cut_all(r, fd, name, data, size, step, records);
}

static void copy_file(int from_dir, int to_dir, const char *name)
{
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t size;
	MUST(from >= 0 && to >= 0);
	_cleanup_free_ char *data = fuzz_slurp(from, &size);
	MUST(write(to, data, size) == (ssize_t)size);
}

static void each_file(DIR *dir, void (*fn)(struct run *, DIR *, const char *), struct run *r)
{
	rewinddir(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			fn(r, dir, e->d_name);
}

static void take(struct run *r, DIR *dir, const char *name)
{
	copy_file(dirfd(dir), r->dir.fd, name);
}

static void spoil(struct run *r, DIR *dir, const char *name)
{
	(void)dir;
	damage(r, name);
}

static void drop(struct run *r, DIR *dir, const char *name)
{
	(void)dir;
	unlinkat(r->dir.fd, name, 0);
}

static void run_set(struct run *r, const char *path)
{
	_cleanup_dir_ DIR *images = opendir(path);
	if (!images) {
		perror(path);
		exit(1);
	}
	set_dir_make(&r->dir);
	each_file(images, take, r);
	int err = set_restore(r->dir.path);
	r->memory_kb = memory_kb();
	unsigned long tried = r->tried, refused = r->refused;
	each_file(images, spoil, r);
	each_file(images, drop, r);
	set_dir_remove(&r->dir);
	fprintf(stderr, "%s (%s): %lu cases, %lu refused\n", path,
		err < 0 ? strerror(-err) : "good", r->tried - tried, r->refused - refused);
}

int main(int argc, char **argv)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
	struct run r = {.every = 1};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i],
			&(struct sigaction){.sa_handler = tell, .sa_flags = (int)SA_RESETHAND},
			NULL);
	LLVMFuzzerInitialize(&argc, &argv);
	int i = 1;
	if (argc > 2 && !strcmp(argv[1], "--every")) {
		r.every = strtoul(argv[2], NULL, 10);
		i = 3;
	}
	for (r.every += !r.every; i < argc; i++)
		run_set(&r, argv[i]);
	fprintf(stderr, "cases %lu, harmful 0\n", r.tried);
	return r.tried ? 0 : 1;
}
