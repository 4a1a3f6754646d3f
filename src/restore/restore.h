/* The restore pipeline. */
#ifndef FERMATA_RESTORE_RESTORE_H
#define FERMATA_RESTORE_RESTORE_H

struct session;

/*
 * Recreates the tree of s->images, writes --pidfile and lets the tasks run (or stops them, as the
 * options say).  With opt->explain it prints the steps on stdout and changes nothing.  Returns 0
 * once the tasks are on their own: waiting for them, and the final log line, are the caller's.
 * On failure nothing is left behind.
 */
int restore_run(struct session *s);

/*
 * What a restore does first: reads all images of s->images and checks that they are whole and fit
 * together. 0 or a negative errno with the failure recorded; what would stand in the way on this
 * machine is no failure here.
 */
int restore_check_images(struct session *s);

#endif
