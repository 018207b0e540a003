// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The library's definitions of domains, for tests in shell:
 *
 *	definitions POOL[/NAMESPACE]
 *
 * reads a command per line, and answers each with a line:
 *
 *	store NAME UUID VERSION [MAC...]	VERSION: the one changed, or 0
 *	load NAME
 *	remove NAME
 *
 * "ok NAME VERSION UUID [MAC...]", or "ESTALE", or whatever it was, and the
 * sentence.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxlrbd-cluster.h"

#define USAGE	2

static int load(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		char *rest, struct xlrbd_definition *d)
{
	return xlrbd_definition_load(ctx, pool, rest, d);
}

static int take_out(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		    char *rest, struct xlrbd_definition *d)
{
	d->name = strdup(rest);
	return xlrbd_definition_remove(ctx, pool, rest);
}

static int store(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		 char *rest, struct xlrbd_definition *d)
{
	const char *name = strsep(&rest, " "), *uuid = strsep(&rest, " ");
	const char *version = strsep(&rest, " ");

	if (!version) {
		fprintf(stderr, "store NAME UUID VERSION [MAC...]\n");
		exit(USAGE);
	}
	d->name = strdup(name);
	d->uuid = strdup(uuid);
	d->version = strtoull(version, NULL, 10);
	d->macs = strdup(rest ? rest : "");
	/* As `xlrbd define` would make them, except that nobody reads them. */
	if (asprintf(&d->config, "name = \"%s\"\nmemory = 128\n", name) < 0 ||
	    asprintf(&d->json, "{\"c_info\":{\"name\":\"%s\"}}", name) < 0)
		exit(EXIT_FAILURE);
	return xlrbd_definition_store(ctx, pool, d);
}

static const struct {
	const char *name;
	int (*run)(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		   char *rest, struct xlrbd_definition *d);
} commands[] = {
	{ "store", store }, { "load", load }, { "remove", take_out },
};

static void answer(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		   char *line)
{
	struct xlrbd_definition d = { .name = NULL };
	const char *command = strsep(&line, " ");
	size_t i, n = sizeof(commands) / sizeof(commands[0]);
	int rc;

	for (i = 0; i < n && strcmp(commands[i].name, command) != 0; i++)
		;
	if (i == n || !line) {
		fprintf(stderr, "no command \"%s\", or nothing after it\n",
			command);
		exit(USAGE);
	}
	rc = commands[i].run(ctx, pool, line, &d);
	if (rc < 0)
		printf("%s %s\n", strerrorname_np(-rc), xlrbd_error(ctx));
	else
		printf("ok %s %llu %s %s\n", d.name,
		       (unsigned long long)d.version, d.uuid ? d.uuid : "-",
		       d.macs ? d.macs : "-");
	fflush(stdout);
	xlrbd_definition_dispose(&d);
}

int main(int argc, char **argv)
{
	struct xlrbd_spec pool = { .pool = NULL };
	struct xlrbd_ctx *ctx;
	char line[4096], *rest;

	if (argc != 2 || xlrbd_new(&ctx) < 0)
		return USAGE;
	rest = argv[1];
	pool.pool = strsep(&rest, "/");
	pool.ns = rest;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(ctx, &pool, line);
	}
	xlrbd_free(ctx);
	return EXIT_SUCCESS;
}
