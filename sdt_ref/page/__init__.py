"""The report: one page that shows a run from the photo to the answer, to be explored in a browser.

    membranes.py  histograms of membranes, taken while the network runs
    sampling.py   what fits on a page: channels, maps, time steps; and how spikes are packed
    words.py      names and one plain sentence for each stage
    gather.py     all that is shown, as JSON takes it; nothing but numbers of the engine
    operations.py its part on operations and energy
    write.py      template, style sheet, script and data in one file (Jinja2)
    assets/       these three

Jinja2 fills the template because it escapes what comes from outside (names of files and classes) and writes the tables,
so that they can be read without a script. The pictures are drawn by a script of our own, on canvases and as SVG: the
plotting libraries of the web weigh more than all that is shown here, and draw no map of spikes over a photo.
"""
