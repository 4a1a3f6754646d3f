/* The images of another dump that a directory holds when a dump begins. */
#ifndef FERMATA_IMAGE_REPLACED_H
#define FERMATA_IMAGE_REPLACED_H

#include "image/dir.h"

struct replaced {
	int fd;		  /* of where they are; -1: there are none */
	bool whole;	  /* all of them are there */
	const char *name; /* of that, in the directory of the images */
};

#define REPLACED_NONE ((struct replaced){.fd = -1})

/* Warns, and moves them out of the way. replaced_end() is due also when that fails. */
int replaced_set_aside(struct session *s, struct replaced *ret);

/* Removes them if the new ones are complete; else they replace what was written. */
void replaced_end(struct session *s, struct replaced *old, bool done);

#endif
