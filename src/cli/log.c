/*
 * Where lines go, and how a failed run is told: each blocker and the one root cause, with what
 * helps, once.
 */
#include "cli/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/session.h"
#include "cli/options.h"
#include "cli/version.h"

int log_open(struct session *s)
{
	const char *path = s->opt->log_file;
	s->log.level = s->opt->verbosity;
	s->log.no_messages = s->opt->json;
	if (!path)
		return 0;
	s->log.colour = false;
	if (!strcmp(path, "-")) {
		s->log.fd = STDOUT_FILENO;
		return 0;
	}
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(s, errno, "log file %s", path);
	s->log.fd = fd;
	return 0;
}

void log_start(struct session *s)
{
	struct utsname u;
	log_info(s, "Version: %s (gitid %s), fermata %s", FERMATA_INTERFACE_VERSION,
		FERMATA_GIT_ID[0] ? FERMATA_GIT_ID : "0", FERMATA_VERSION);
	if (!uname(&u))
		log_info(s, "Running on %s %s %s %s %s", u.nodename, u.sysname, u.release,
			u.version, u.machine);
	log_info(s, "Run id %s", s->run_id);
}

static void report_line(struct session *s, struct place_in_source where, const char *line)
{
	char prefix[256] = ERROR_IN_COLOUR " ";
	log_line_at(s, where, LOG_ERROR, "%s", line);
	if (s->log.fd == STDERR_FILENO || !log_wants(s, LOG_ERROR))
		return;
	if (!s->comforts || !terminal_has_colour(STDERR_FILENO))
		log_error_prefix(s, where, prefix, sizeof(prefix));
	dprintf(STDERR_FILENO, "%s%s\n", prefix, line);
}

/* "pid 812 fd 7: ..." but "pid 812: 32-bit task". */
static const char *describe_blocker(struct session *s, const struct blocker *b)
{
	bool names_part = !strncmp(b->message, "fd ", 3) || !strncmp(b->message, "thread ", 7) ||
			  !strncmp(b->message, "vma ", 4);
	return arena_printf(&s->arena, "pid %d%s %s%s%s", b->pid, names_part ? "" : ":", b->message,
		b->remedy ? "; " : "", b->remedy ? b->remedy : "");
}

static const char *describe_failure(struct session *s, int err)
{
	const struct failure *f = &s->failure;
	if (!f->err)
		return arena_printf(&s->arena, "no cause was recorded: %s", strerror(-err));
	bool plain = f->where.plain;
	return arena_printf(&s->arena, "%s%s%s%s%s", f->message, plain ? "" : ": ",
		plain ? "" : strerror(f->err), f->remedy ? "; " : "", f->remedy ? f->remedy : "");
}

const char *failure_text(struct session *s, int err)
{
	return s->blockers.n ? describe_blocker(s, &s->blockers.v[0]) : describe_failure(s, err);
}

/* A failure that nobody recorded is told of from here. */
static struct place_in_source where_it_failed(const struct session *s)
{
	return s->failure.where.file ? s->failure.where : HERE;
}

const char *failure_line(struct session *s, int err)
{
	char prefix[256];
	log_error_prefix(s, s->blockers.n ? s->blockers.v[0].where : where_it_failed(s), prefix,
		sizeof(prefix));
	return arena_printf(&s->arena, "%s%s\n", prefix, failure_text(s, err));
}

/* All to who asked for them; of a failed dump a handful, for the first line is the one to see. */
static void report_blockers(struct session *s)
{
	const size_t most = 10;
	bool all = s->opt->explain || s->opt->action == ACTION_CHECK || s->blockers.n <= most;
	size_t n = all ? s->blockers.n : most - 1;
	for (size_t i = 0; i < n; i++)
		report_line(s, s->blockers.v[i].where, describe_blocker(s, &s->blockers.v[i]));
	if (n < s->blockers.n)
		report_line(s, HERE,
			arena_printf(&s->arena,
				"and %zu more; fermata dump --explain -t %d lists them all, and "
				"the command that would work",
				s->blockers.n - n, s->opt->tree));
}

void report_failure(struct session *s, int err, const char *last)
{
	report_blockers(s);
	if (s->failure.err || !s->blockers.n)
		report_line(s, where_it_failed(s), describe_failure(s, err));
	if (last)
		log_line(s, LOG_ERROR, "%s", last);
}

static void print_pages(const char *what, uint64_t n)
{
	printf("%s: %" PRIu64 " (0x%" PRIx64 ")\n", what, n, n);
}

void print_stats(const struct session *s)
{
	const struct run_stats *st = &s->stats;
	if (s->opt->action == ACTION_RESTORE) {
		printf("Displaying restore stats:\n");
		print_pages("Pages compared", st->pages_compared);
		print_pages("Pages skipped COW", st->pages_skipped_cow);
		print_pages("Pages restored", st->pages_restored);
		printf("Restore time: %u us\n", st->restore_us);
		printf("Forking time: %u us\n", st->forking_us);
	} else {
		printf("Displaying dump stats:\n");
		printf("Freezing time: %u us\n", st->freezing_us);
		printf("Frozen time: %u us\n", st->frozen_us);
		printf("Memory dump time: %u us\n", st->memdump_us);
		printf("Memory write time: %u us\n", st->memwrite_us);
		printf("IRMAP resolve time: 0 us\n");
		print_pages("Memory pages scanned", st->pages_scanned);
		print_pages("Memory pages skipped from parent", st->pages_skipped_parent);
		print_pages("Memory pages written", st->pages_written);
		print_pages("Lazy memory pages", st->pages_lazy);
	}
	fflush(stdout);
}
