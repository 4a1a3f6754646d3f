/* Texts made from the option and verb tables. */
#ifndef FERMATA_CLI_HELP_H
#define FERMATA_CLI_HELP_H

#include <stdio.h>

/* A few lines for whoever made a mistake. */
void print_usage(FILE *out, const char *program);

/* All verbs and options but the deprecated ones. */
void print_help(FILE *out, const char *program);

/* The options and commands sections of fermata(8), scdoc syntax; all options. */
void print_manual(FILE *out);

/* A script for bash. */
void print_completion(FILE *out);

/* Interface version, as runtimes parse it. */
void print_version(FILE *out, const char *program);

#endif
