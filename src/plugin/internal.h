/* What the files of src/plugin share. */
#ifndef FERMATA_PLUGIN_INTERNAL_H
#define FERMATA_PLUGIN_INTERNAL_H

#include "plugin/plugin.h"

struct plugin {
	void *library;
	const char *name, *path;
	int (*init)(int stage);
	void (*exit)(int stage, int ret);
	void *hooks[CR_PLUGIN_HOOK__MAX];
};

struct plugins {
	struct session *s;
	int stage;
	VEC(struct plugin) loaded;
	VEC(const char *) stored; /* dump: add_inventory_plugin() */
	/* restore */
	VEC(const char *) needed; /* and not asked for yet */
	bool all_wanted;	  /* images from before there was such a list */
};

/*
 * open.c: the functions and hooks of one file, which stays loaded until it is closed.  In absent.c
 * these always fail.
 */
int plugin_open(struct session *s, const char *path, struct plugin *ret);
void plugin_close(struct plugin *p);

/* load.c: is there any plugin in the directory that was built in? */
bool plugins_built_in(void);

/* exports.c: what plugins call refers to this run from now on; NULL: to none. */
void exports_bind(struct plugins *p);

#endif
