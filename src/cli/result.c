/* See result.h.  The members are part of the interface: docs/fermata.8.scd lists them. */
#include "cli/result.h"

#include <stdio.h>

#include "base/json_writer.h"
#include "cli/options.h"

static void text(struct json_writer *w, const char *key, const char *value)
{
	if (!value)
		return;
	json_write_key(w, key);
	json_write_string(w, value);
}

static void number(struct json_writer *w, const char *key, uint64_t value)
{
	json_write_key(w, key);
	json_write_unsigned(w, value);
}

static void print_blockers(struct json_writer *w, const struct session *s)
{
	json_write_key(w, "blockers");
	json_write_begin(w, '[');
	for (size_t i = 0; i < s->blockers.n; i++) {
		const struct blocker *b = &s->blockers.v[i];
		json_write_begin(w, '{');
		number(w, "pid", (uint64_t)b->pid);
		text(w, "message", b->message);
		text(w, "remedy", b->remedy);
		json_write_end(w, '}');
	}
	json_write_end(w, ']');
}

static void print_failure(struct json_writer *w, const struct session *s, int err)
{
	const struct failure *f = &s->failure;
	json_write_key(w, "failure");
	json_write_begin(w, '{');
	number(w, "errno", (uint64_t)(f->err ? f->err : -err));
	text(w, "message", f->message ? f->message : "no cause was recorded");
	text(w, "remedy", f->remedy);
	json_write_end(w, '}');
	print_blockers(w, s);
}

static void print_figures(struct json_writer *w, const struct session *s)
{
	const struct run_stats *st = &s->stats;
	if (s->root_pid)
		number(w, "pid", (uint64_t)s->root_pid);
	if (s->opt->action == ACTION_DUMP && !s->opt->explain) {
		number(w, "frozen_us", st->frozen_us);
		number(w, "pages_scanned", st->pages_scanned + st->shpages_scanned);
		number(w, "pages_written", st->pages_written + st->shpages_written);
	} else if (s->opt->action == ACTION_RESTORE && !s->opt->explain) {
		number(w, "restore_us", st->restore_us);
		number(w, "pages_restored", st->pages_restored);
	}
}

static void print_preflight(struct json_writer *w, const struct session *s)
{
	const struct preflight *p = &s->preflight;
	if (!p->n_tasks)
		return;
	number(w, "tasks", p->n_tasks);
	number(w, "threads", p->n_threads);
	number(w, "stopped_us", s->stats.frozen_us);
	number(w, "predicted_bytes", p->predicted_bytes);
	text(w, "command", p->command);
}

void print_result(struct session *s, const char *action, int err)
{
	struct json_writer w = {.out = stdout, .pretty = true};
	json_write_begin(&w, '{');
	text(&w, "action", action);
	json_write_key(&w, "success");
	json_write_bool(&w, err >= 0);
	if (err < 0)
		print_failure(&w, s, err);
	else
		print_figures(&w, s);
	print_preflight(&w, s);
	json_write_end(&w, '}');
	putchar('\n');
	fflush(stdout);
}
