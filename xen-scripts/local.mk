# SPDX-License-Identifier: LGPL-2.1-or-later

# The helper is a program, so it lives among programs; xl finds it by this
# link, which names it absolutely as xl's directory may be anywhere.
install-exec-hook:
	$(MKDIR_P) $(DESTDIR)$(xenscriptdir)
	rm -f $(DESTDIR)$(xenscriptdir)/block-rbd
	$(LN_S) $(sbindir)/block-rbd $(DESTDIR)$(xenscriptdir)/block-rbd

uninstall-hook:
	rm -f $(DESTDIR)$(xenscriptdir)/block-rbd

# Where the program is depends on the prefix, which make may be told, too.
xen-scripts/block-rbd-gc.service: xen-scripts/block-rbd-gc.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed 's|@sbindir[@]|$(sbindir)|' \
		$(srcdir)/xen-scripts/block-rbd-gc.service.in >$@

systemdunit_DATA = xen-scripts/block-rbd-gc.service
dist_systemdunit_DATA = xen-scripts/block-rbd-gc.timer
CLEANFILES += $(systemdunit_DATA)
EXTRA_DIST += xen-scripts/block-rbd-gc.service.in

dist_man_MANS += xen-scripts/xlrbd.conf.5
dist_modulesload_DATA = xen-scripts/xlrbd.conf
dist_doc_DATA = xen-scripts/pv.cfg
