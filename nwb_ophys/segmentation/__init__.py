"""Results of segmentation, as plain validated objects: made, imported, written, read back.

`result` is what users hold, `adding` and `writing` put it into sessions and files, `reading` finds
it in files, `writers` knows what other tools put there; `suite2p`, `caiman` and `labels` import
their results.
"""
