/* --json: how a run ended, for programs. */
#ifndef FERMATA_CLI_RESULT_H
#define FERMATA_CLI_RESULT_H

#include "base/session.h"

/* One object on stdout: action, success, then what failed and stands in the way, or figures. */
void print_result(struct session *s, const char *action, int err);

#endif
