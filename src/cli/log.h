/* The log file and the report of a failed run. */
#ifndef FERMATA_CLI_LOG_H
#define FERMATA_CLI_LOG_H

struct session;

/* Sends the log to opt->log_file (relative to the cwd), at opt->verbosity. 0 or negative errno. */
int log_open(struct session *s);

/* Versions and run id, at info level: spec/cli.md 3.8. */
void log_start(struct session *s);

/*
 * Every blocker and the failure record, one line each, to the log and, when that is a file, to
 * stderr too.  last is the final line of the log, or NULL.
 */
void report_failure(struct session *s, int err, const char *last);

/* The line that tells a failed run best: what report_failure() says first. In the arena. */
const char *failure_text(struct session *s, int err);

/* The same as the log has it, with "Error: " and the newline. */
const char *failure_line(struct session *s, int err);

/* --display-stats, on stdout: spec/cli.md 5.4. */
void print_stats(const struct session *s);

#endif
