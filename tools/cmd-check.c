// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd check - what is wrong with this installation, and how to mend it
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "CHECK", "check" }, { "RESULT", "result" }, { "DETAIL", "detail" },
};

static void add_row(void *data, const char *what, bool ok, const char *detail)
{
	json_t *row = json_object();

	set_text(row, "check", what);
	set_text(row, "result", ok ? "ok" : "trouble");
	set_text(row, "detail", detail);
	json_array_append_new(data, row);
}

/* What `PROGRAM --version` says, in @out; false if it cannot be run. */
static bool version_of(const char *const argv[], char *out, size_t size)
{
	char *text;
	int status = program_output(argv, &text);

	snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 0,
		 text ? text : "");
	free(text);
	return !status;
}

/* The last word of "block-rbd 0.1.0". */
static bool is_our_version(const char *text)
{
	const char *word = strrchr(text, ' ');

	return word && !strcmp(word + 1, xlrbd_version());
}

static void check_script(json_t *rows)
{
	const char *argv[] = { XEN_SCRIPT_DIR "/block-rbd", "--version", NULL };
	char version[64], detail[256];
	bool ok = false;

	if (access(argv[0], X_OK) < 0)
		snprintf(detail, sizeof(detail),
			 "%s: %s; run `make install` again, or link it there",
			 argv[0], strerror(errno));
	else if (!version_of(argv, version, sizeof(version)))
		snprintf(detail, sizeof(detail), "%s does not run", argv[0]);
	else if (!is_our_version(version))
		snprintf(detail, sizeof(detail),
			 "%s is %s, but xlrbd is %s: install both from one source",
			 argv[0], version, xlrbd_version());
	else
		ok = snprintf(detail, sizeof(detail), "%s, %s", argv[0],
			      version) > 0;
	add_row(rows, "script for xl", ok, detail);
}

static void check_xen(json_t *rows)
{
	char detail[128];
	bool ok = xen_version(detail, sizeof(detail));

	add_row(rows, "Xen", ok, ok ? detail :
		"no Xen host, or not run as root in domain 0");
}

/*
 * Who opens what looks like a volume group or a path opens guests' disks too,
 * and then they cannot be unmapped.
 */
static void check_scanners(json_t *rows)
{
	bool lvm = lvm_takes_guests_disks();
	bool multipath = multipath_takes_guests_disks();

	add_row(rows, "LVM", !lvm, lvm ?
		"LVM would open guests' disks; say in lvm.conf: devices { global_filter = [ \"r|^/dev/rbd|\" ] }" :
		"leaves guests' disks alone");
	add_row(rows, "multipath", !multipath, multipath ?
		"multipath would open guests' disks; say in multipath.conf: blacklist { devnode \"^rbd\" }, and no exceptions for them" :
		"leaves guests' disks alone");
}

static void take_host(void *data, const char *name, const char *address)
{
	json_object_set_new(data, name, json_string(address));
}

static void check_host(struct session *s, json_t *rows, const char *name,
		       const char *address)
{
	char *version = NULL, detail[256], what[128];
	bool ok = !remote_output(s, name, "xlrbd --version", &version);

	if (ok)
		version[strcspn(version, "\n")] = '\0';
	if (!ok)
		snprintf(detail, sizeof(detail),
			 "`ssh %s xlrbd --version` fails; it must need no password, and xlrbd must be there",
			 address);
	else if (!is_our_version(version)) {
		ok = false;
		snprintf(detail, sizeof(detail), "has %s, this host has %s",
			 version, xlrbd_version());
	} else {
		snprintf(detail, sizeof(detail), "%s, %s", address, version);
	}
	snprintf(what, sizeof(what), "host %s", name);
	add_row(rows, what, ok, detail);
	free(version);
}

static void check_hosts(struct session *s, json_t *rows)
{
	json_t *hosts = json_object(), *address;
	const char *name;

	if (xlrbd_hosts(s->ctx, take_host, hosts) < 0)
		add_row(rows, "hosts", false, xlrbd_error(s->ctx));
	/* What goes wrong is said in the row. */
	keep_failures();
	json_object_foreach(hosts, name, address)
		check_host(s, rows, name, json_string_value(address));
	tell_failures();
	json_decref(hosts);
}

int cmd_check(struct session *s, int argc, char **argv)
{
	json_t *rows = json_array(), *row;
	size_t i;
	int rc = DONE;

	(void)argc;
	(void)argv;
	check_xen(rows);
	check_script(rows);
	xlrbd_check(s->ctx, &s->where, add_row, rows);
	check_scanners(rows);
	check_hosts(s, rows);
	json_array_foreach(rows, i, row)
		if (strcmp(text_of(row, "result"), "ok") != 0)
			rc = FAILED;
	return print_rows(s, rows, columns, ARRAY_SIZE(columns)) ? FAILED : rc;
}
