/* stats-dump and stats-restore, from the session's figures into the work directory. */
#ifndef FERMATA_IMAGE_STATS_H
#define FERMATA_IMAGE_STATS_H

#include "base/session.h"

/* The work directory is the process's current one. Called once, when the run has succeeded. */
int stats_write_dump(struct session *s);
int stats_write_restore(struct session *s);

#endif
