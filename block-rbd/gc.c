// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * block-rbd gc - clean up what this host has left behind; run at boot, and by
 * an administrator.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "block-rbd.h"
#include "libxlrbd-cluster.h"

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

/* With the defaults of xlrbd.conf; @name is POOL[/NAMESPACE], or NULL. */
static int make_spec(struct xlrbd_ctx *ctx, const struct xlrbd_spec *given,
		     const char *name, struct xlrbd_spec *spec)
{
	const struct {
		const char *from;
		char **to;
	} members[] = {
		{ given->id, &spec->id }, { given->conf, &spec->conf },
		{ given->cluster, &spec->cluster }, { name, &spec->pool },
	};
	char *slash;
	size_t i;

	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!members[i].from)
			continue;
		*members[i].to = strdup(members[i].from);
		if (!*members[i].to)
			return -ENOMEM;
	}
	slash = name ? strchr(spec->pool, '/') : NULL;
	if (slash) {
		*slash = '\0';
		spec->ns = strdup(slash + 1);
		if (!spec->ns)
			return -ENOMEM;
	}
	return xlrbd_spec_set_defaults(ctx, spec);
}

static int clean(struct xlrbd_ctx *ctx, const struct xlrbd_spec *given,
		 const char *name)
{
	struct xlrbd_spec spec = { .pool = NULL };
	int rc;

	rc = make_spec(ctx, given, name, &spec);
	if (!rc)
		rc = xlrbd_gc(ctx, &spec);
	if (rc < 0) {
		syslog(LOG_ERR, "gc: %s", xlrbd_error(ctx));
		fprintf(stderr, "block-rbd: gc: %s\n", xlrbd_error(ctx));
	} else {
		printf("%s%s%s: %d cleaned up\n", spec.pool ? spec.pool : "rbd",
		       spec.ns ? "/" : "", spec.ns ? spec.ns : "", rc);
	}
	xlrbd_spec_dispose(&spec);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int run_gc(int argc, char **argv)
{
	struct xlrbd_spec spec = { .pool = NULL };
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
	if (optind == argc)
		status = clean(ctx, &spec, NULL);
	/* A pool in trouble does not keep the others from being looked at. */
	for (; optind < argc; optind++)
		if (clean(ctx, &spec, argv[optind]) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
	xlrbd_free(ctx);
	return status;
}
