/*
 * Functions that plugins call (spec/plugins.md 1.4); exports.list makes the executable show them.
 *
 * They have no parameter that says for which run they are called, so this is one of the few places
 * with a variable of its own.  A process is at one run at a time.
 */
#include "plugin/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "image/dir.h"

static struct plugins *bound;

void exports_bind(struct plugins *p)
{
	bound = p;
}

int criu_get_image_dir(void)
{
	return bound && bound->s->images ? bound->s->images->fd : -1;
}

int add_inventory_plugin(const char *name)
{
	if (!bound || !name)
		return -1;
	*vec_push(&bound->s->arena, &bound->stored) = arena_strdup(&bound->s->arena, name);
	return 0;
}

bool check_and_remove_inventory_plugin(const char *name, size_t n)
{
	if (!bound)
		return false;
	for (size_t i = 0; i < bound->needed.n; i++) {
		if (strncmp(bound->needed.v[i], name, n) != 0)
			continue;
		bound->needed.v[i] = bound->needed.v[--bound->needed.n];
		return true;
	}
	return bound->all_wanted;
}

void print_on_level(unsigned int level, const char *format, ...)
{
	char text[2048];
	va_list args;
	if (!bound || !log_wants(bound->s, (enum log_level)level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line(bound->s, (enum log_level)level, "%s", text);
}
