/* Start-up in the order of spec/cli.md section 3, and the exit status of section 2. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/fault.h"
#include "base/session.h"
#include "cli/help.h"
#include "cli/log.h"
#include "cli/parser.h"
#include "cli/result.h"
#include "cli/verbs.h"
#include "image/dir.h"
#include "plugin/plugin.h"

static int complain(const struct parser *p, const char *program)
{
	fprintf(stderr, "%s: Error: %s\n", program, p->error);
	if (p->usage) {
		print_usage(stdout, program);
		printf("Try -h|--help for more info\n");
	}
	return 1;
}

/* Says on stdout what is missing, as scripts expect (spec/cli.md 2). */
static bool may_run(const struct options *o)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};
	const uint32_t bits[2] = {1u << CAP_SYS_ADMIN, 1u << (CAP_CHECKPOINT_RESTORE - 32)};

	if (o->action == ACTION_RESTORE && o->explain)
		return true; /* only reads images */
	if (geteuid() && !o->unprivileged) {
		printf("Running as non-root requires '--unprivileged'\n"
		       "Please consult the documentation for limitations when running as "
		       "non-root\n");
		return false;
	}
	if (!syscall(SYS_capget, &head, caps) &&
		((caps[0].effective & bits[0]) || (caps[1].effective & bits[1])))
		return true;
	printf("CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability:\n"
	       "setcap cap_checkpoint_restore+eip <path of this program>\n");
	return false;
}

/* Both directories count from the cwd at start; afterwards the work dir is the cwd. */
static int open_dirs(struct session *s, const struct verb *verb)
{
	const struct options *o = s->opt;
	const char *work = o->work_dir ? o->work_dir : o->images_dir;

	/* of check, -D says only where a dump of that tree would go */
	if (verb->needs_images || (o->tree && option_given(o, "images-dir"))) {
		int err = image_dir_open(s, o->images_dir, &s->images);
		if (err < 0)
			return err;
	}
	return chdir(work) ? fail(s, errno, "work directory %s", work) : 0;
}

static int finish(struct session *s, const struct verb *verb, int err)
{
	if (s->opt->json)
		print_result(s, verb->name, err);
	if (err < 0) {
		report_failure(s, err, s->opt->explain ? NULL : verb->failed);
		return s->exit_status ? s->exit_status : 1;
	}
	if (s->opt->display_stats)
		print_stats(s);
	if (verb->finished && !s->opt->explain)
		log_info(s, "%s", verb->finished);
	return 0;
}

static int run(struct session *s, const struct verb *verb)
{
	int err = open_dirs(s, verb);
	if (!err)
		err = log_open(s);
	if (!err) {
		log_start(s);
		err = verb->run(s);
	}
	return finish(s, verb, err);
}

static void nothing(int signo)
{
	(void)signo;
}

/*
 * A write beyond RLIMIT_FSIZE shall fail (EFBIG), not end us.  A handler does that without a step
 * for restored tasks and scripts, which inherit what is ignored, but no handlers.
 */
static void outlive_file_limit(void)
{
	struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	sigaction(SIGXFSZ, &a, NULL);
}

/* The command line was understood as far as words go. */
static int start(struct session *s, struct parser *p, const char *program, char **argv)
{
	const struct verb *verb = NULL;
	const char *removed = removed_verb(p->opt);

	if (removed) {
		fprintf(stderr, "%s: Error: %s\n", program, removed);
		return 255;
	}
	if (find_verb(p, &verb) || check_options(p))
		return complain(p, program);
	if (!verb->run) {
		fprintf(stderr, "%s: Error: %s is not there yet\n", program, verb->name);
		return 1;
	}
	plugins_change_program(p->opt, argv);
	signal(SIGPIPE, SIG_IGN);
	outlive_file_limit();
	if (verb->action == ACTION_SWRK) /* rights, directories and log are those of each request */
		return finish(s, verb, verb->run(s));
	return may_run(p->opt) ? run(s, verb) : 1;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *program = slash ? slash + 1 : argc ? argv[0] : "fermata";
	const char *const *words = (const char *const *)argv + (argc > 0);
	int n_words = argc - (argc > 0), status = 0;
	struct options options;
	struct session s;

	session_init(&s);
	fault_read_step(&s);
	options_init(&options);
	s.opt = &options;
	s.comforts = strcmp(program, "criu") != 0;
	s.log.places = !s.comforts;
	s.log.colour = s.comforts && terminal_has_colour(s.log.fd);
	struct parser p = {.arena = &s.arena, .opt = &options};
	if (n_words == 1 && !strcmp(words[0], "--help-manual"))
		print_manual(stdout); /* the build makes fermata.8 from it */
	else if (n_words == 1 && !strcmp(words[0], "--help-completion"))
		print_completion(stdout); /* and the completion for bash */
	else if (parse_command_line(&p, n_words, words))
		status = complain(&p, program);
	else if (options.help)
		print_help(stdout, program);
	else if (options.version)
		print_version(stdout, program);
	else
		status = start(&s, &p, program, argv);
	image_dir_close(s.images);
	session_release(&s);
	return status;
}
