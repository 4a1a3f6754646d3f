/* crit, the image tool: its commands, and what may follow each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crit.h"
#include "version.h"

/* What a command takes. */
enum { IN = 1, OUT = 2, PRETTY = 4, NOPL = 8, FILE_ARG = 16, DIR_ARG = 32, OTHER = 64, WHAT = 128 };

static const struct command {
	const char *name;
	unsigned takes;
	int (*run)(struct crit *c);
	const char *usage, *help;
} commands[] = {
	{"decode", IN | OUT | PRETTY, crit_decode, "[-i IN] [-o OUT] [--pretty]",
		"convert an image to JSON"},
	{"encode", IN | OUT, crit_encode, "[-i IN] [-o OUT]", "convert JSON to an image"},
	{"info", FILE_ARG, crit_info, "IN", "show the type of an image and how much is in it"},
	{"show", FILE_ARG | NOPL, crit_show, "[--nopl] IN",
		"show an image as indented JSON; --nopl: sizes in place of payload"},
	{"x", DIR_ARG | WHAT, crit_explore, "DIR {ps,fds,mems,rss}",
		"show tasks, files or memory of a checkpoint"},
	{"check", DIR_ARG, crit_check, "DIR",
		"check that the images of a checkpoint are whole and fit together"},
	{"checksum", DIR_ARG, crit_checksum, "DIR",
		"add checksums to the images, or renew those of images that were edited"},
	{"diff", DIR_ARG | OTHER, crit_diff, "DIR DIR",
		"show what changed between two checkpoints"},
	{"report", DIR_ARG | OUT, crit_report, "DIR [-o OUT]",
		"write a page of HTML that shows a checkpoint"},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void print_usage(FILE *out)
{
	fprintf(out, "usage: crit [-h] [--version] COMMAND ...\n");
}

static int print_help(void)
{
	print_usage(stdout);
	printf("\nLooks into the images of a checkpoint, and changes them.\n\ncommands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-8s %-30s %s\n", commands[i].name, commands[i].usage, commands[i].help);
	printf("\nIN, OUT: -i, --in and -o, --out; standard input and output if not given\n");
	return 0;
}

static int misuse(const struct command *command, const char *what, const char *word)
{
	fprintf(stderr, "usage: crit %s %s\ncrit %s: error: %s%s%s\n", command->name,
		command->usage, command->name, what, word ? " " : "", word ? word : "");
	return 2;
}

/* The value of option name: the next word, or behind = or at once behind a letter. NULL: another
 * option. */
static const char *option_value(char **words, int *i, const char *letter, const char *name)
{
	const char *word = words[*i];
	size_t len = strlen(name);
	if (strncmp(word, name, len) == 0 && word[len] == '=')
		return word + len + 1;
	if (strcmp(word, name) == 0 || strcmp(word, letter) == 0)
		return words[*i + 1] ? words[++*i] : NULL;
	return strncmp(word, letter, 2) == 0 && word[1] != '-' && word[2] ? word + 2 : NULL;
}

static bool take_option(struct crit *c, const struct command *command, char **words, int *i)
{
	const char *value;
	if (command->takes & PRETTY && strcmp(words[*i], "--pretty") == 0)
		c->pretty = true;
	else if (command->takes & NOPL && strcmp(words[*i], "--nopl") == 0)
		c->no_payload = true;
	else if (command->takes & IN && (value = option_value(words, i, "-i", "--in")))
		c->in = value;
	else if (command->takes & OUT && (value = option_value(words, i, "-o", "--out")))
		c->out = value;
	else
		return false;
	return true;
}

static bool take_word(struct crit *c, const struct command *command, const char *word)
{
	const char **place = command->takes & FILE_ARG && !c->in   ? &c->in
			     : command->takes & DIR_ARG && !c->dir ? &c->dir
			     : command->takes & OTHER && !c->other ? &c->other
			     : command->takes & WHAT && !c->what   ? &c->what
								   : NULL;
	if (place)
		*place = word;
	return place;
}

static int parse(struct crit *c, const struct command *command, char **words)
{
	static const char whats[] = " ps fds mems rss ";
	for (int i = 0; words[i]; i++) {
		bool option = words[i][0] == '-' && words[i][1];
		if (strcmp(words[i], "-h") == 0 || strcmp(words[i], "--help") == 0)
			return print_help() - 1;
		if (option ? !take_option(c, command, words, &i) : !take_word(c, command, words[i]))
			return misuse(command, "unrecognized arguments:", words[i]);
	}
	if ((command->takes & FILE_ARG && !c->in) || (command->takes & DIR_ARG && !c->dir) ||
		(command->takes & OTHER && !c->other) || (command->takes & WHAT && !c->what))
		return misuse(command, "the following arguments are required:",
			strrchr(command->usage, ']') ? strrchr(command->usage, ']') + 2
						     : command->usage);
	if (c->what && !strstr(whats, c->what))
		return misuse(command, "choose from ps, fds, mems, rss, not", c->what);
	return 0;
}

static int run(struct crit *c, const struct command *command)
{
	int err = command->run(c);
	if (err >= 0 && fflush(stdout) == 0)
		return 0;
	const struct failure *f = &c->s->failure;
	if (f->message)
		fprintf(stderr, "crit: %s: %s\n", f->message, strerror(f->err));
	else
		perror("crit: standard output");
	if (f->message && f->remedy)
		fprintf(stderr, "%s\n", f->remedy);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		fprintf(stderr, "crit: error: too few arguments\n");
		return 1;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0) {
		puts(FERMATA_INTERFACE_VERSION);
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[1]) != 0)
			continue;
		struct session s;
		session_init(&s);
		struct crit c = {.s = &s};
		int status = parse(&c, &commands[i], argv + 2);
		if (status == 0)
			status = run(&c, &commands[i]);
		session_release(&s);
		return status < 0 ? 0 : status;
	}
	print_usage(stderr);
	fprintf(stderr, "crit: error: invalid command: '%s'; see crit -h\n", argv[1]);
	return 2;
}
