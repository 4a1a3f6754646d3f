/*
 * Any text as a configuration file, and as the words of a command line (one a line), for each
 * action. Whatever is refused is told why.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/parser.h"

enum { WORDS_MAX = 64 };

static void as_config(struct arena *a, const uint8_t *data, size_t size, enum action action)
{
	struct options o;
	options_init(&o);
	o.action = action;
	struct parser p = {.arena = a, .opt = &o};
	char *text = arena_alloc(a, size + 1);
	memcpy(text, data, size);
	int err = parse_config_text(&p, text, "fuzz");
	if (!err)
		err = check_options(&p);
	MUST(!err == !p.error && !o.words.n);
}

static void as_words(struct arena *a, const uint8_t *data, size_t size, enum action action)
{
	struct options o;
	const char *words[WORDS_MAX];
	int n = 0;
	options_init(&o);
	o.action = action;
	struct parser p = {.arena = a, .opt = &o};
	char *text = arena_alloc(a, size + 1);
	memcpy(text, data, size);
	for (char *word; n < WORDS_MAX && (word = strsep(&text, "\n"));)
		words[n++] = word;
	int err = parse_args(&p, n, words);
	if (!err)
		err = check_options(&p);
	MUST(!err == !p.error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s;
	int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 900);
	fuzz_session(&s);
	enum action action = size ? data[0] % N_ACTIONS : 0; /* as good as any part of the text */
	as_config(&s.arena, data, size, action);
	as_words(&s.arena, data, size, action);
	session_release(&s);
	dup2(kept, STDERR_FILENO); /* --close may have been told to end it */
	close(kept);
	return 0;
}
