// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * block-rbd gc - clean up what this host has left behind; run at boot, and by
 * an administrator.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "block-rbd.h"
#include "libxlrbd.h"

static const struct option options[] = {
	{ "id", required_argument, NULL, 'i' },
	{ "conf", required_argument, NULL, 'c' },
	{ "cluster", required_argument, NULL, 'C' },
	{ NULL, 0, NULL, 0 },
};

static void to_stderr(void *data, int level, const char *message)
{
	(void)data;
	syslog(level, "%s", message);
	fprintf(stderr, "block-rbd: %s\n", message);
}

/* POOL[/NAMESPACE]; cuts @name in two. */
static void set_pool(struct xlrbd_spec *spec, char *name)
{
	spec->pool = strsep(&name, "/");
	spec->ns = name;
}

static int clean(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec)
{
	int rc = xlrbd_gc(ctx, spec);

	if (rc < 0) {
		syslog(LOG_ERR, "gc: %s", xlrbd_error(ctx));
		fprintf(stderr, "block-rbd: gc: %s\n", xlrbd_error(ctx));
		return EXIT_FAILURE;
	}
	printf("%s%s%s: %d cleaned up\n", spec->pool, spec->ns ? "/" : "",
	       spec->ns ? spec->ns : "", rc);
	return EXIT_SUCCESS;
}

int run_gc(int argc, char **argv)
{
	struct xlrbd_spec spec = { .pool = NULL };
	char fallback[] = "rbd";
	struct xlrbd_ctx *ctx;
	int status = EXIT_SUCCESS;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'i')
			spec.id = optarg;
		else if (c == 'c')
			spec.conf = optarg;
		else if (c == 'C')
			spec.cluster = optarg;
		else
			return EXIT_USAGE;
	}
	if (xlrbd_new(&ctx) < 0)
		return EXIT_FAILURE;
	xlrbd_set_log(ctx, LOG_NOTICE, to_stderr, NULL);
	if (optind == argc) {
		set_pool(&spec, fallback);
		status = clean(ctx, &spec);
	}
	/* A pool in trouble does not keep the others from being looked at. */
	for (; optind < argc; optind++) {
		set_pool(&spec, argv[optind]);
		if (clean(ctx, &spec) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
	}
	xlrbd_free(ctx);
	return status;
}
