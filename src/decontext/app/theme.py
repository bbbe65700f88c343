"""The look of Gradio's own parts: system fonts, quiet colours, nothing from elsewhere."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import sizes

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
FIXED_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")

PAPER, INK, SOFT, LINE, BACK = "#ffffff", "#1c2730", "#51606c", "#d5dde2", "#f4f6f7"
DARK_PAPER, DARK_INK, DARK_SOFT, DARK_LINE, DARK_BACK = (
    "#1a2126",
    "#e8edf0",
    "#a9b6bf",
    "#38444d",
    "#12171b",
)
ACCENT, ACCENT_DARK = "#0b5f66", "#7fd0d0"


class Calm(gr.themes.Base):
    """Our theme, light and dark; the same colours are in `style.css`."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue="teal",
            neutral_hue="slate",
            radius_size=sizes.radius_lg,
            text_size=sizes.text_lg,
            font=SYSTEM_FONTS,
            font_mono=FIXED_FONTS,
        )
        self.name = "calm"
        self.set(
            body_background_fill=BACK,
            body_background_fill_dark=DARK_BACK,
            body_text_color=INK,
            body_text_color_dark=DARK_INK,
            body_text_color_subdued=SOFT,
            body_text_color_subdued_dark=DARK_SOFT,
            block_background_fill=PAPER,
            block_background_fill_dark=DARK_PAPER,
            block_border_color=LINE,
            block_border_color_dark=DARK_LINE,
            block_border_width="1px",
            block_label_background_fill=PAPER,
            block_label_background_fill_dark=DARK_PAPER,
            block_label_text_color=INK,
            block_label_text_color_dark=DARK_INK,
            block_title_text_color=INK,
            block_title_text_color_dark=DARK_INK,
            block_title_text_weight="600",
            block_info_text_color=SOFT,
            block_info_text_color_dark=DARK_SOFT,
            border_color_primary=LINE,
            border_color_primary_dark=DARK_LINE,
            input_background_fill=PAPER,
            input_background_fill_dark=DARK_BACK,
            input_border_color="#7b8a95",
            input_border_color_dark="#7b8a95",
            input_placeholder_color=SOFT,
            input_placeholder_color_dark=DARK_SOFT,
            button_primary_background_fill=ACCENT,
            button_primary_background_fill_hover="#08494f",
            button_primary_background_fill_dark=ACCENT_DARK,
            button_primary_background_fill_hover_dark="#a4e0e0",
            button_primary_text_color="#ffffff",
            button_primary_text_color_dark="#0d2426",
            button_secondary_background_fill=PAPER,
            button_secondary_background_fill_hover="#e6f1f1",
            button_secondary_background_fill_dark=DARK_PAPER,
            button_secondary_background_fill_hover_dark="#1d3438",
            button_secondary_text_color=ACCENT,
            button_secondary_text_color_dark=ACCENT_DARK,
            button_secondary_border_color=ACCENT,
            button_secondary_border_color_dark=ACCENT_DARK,
            checkbox_background_color=PAPER,
            checkbox_background_color_dark=DARK_BACK,
            checkbox_background_color_selected=ACCENT,
            checkbox_background_color_selected_dark=ACCENT,
            checkbox_border_color="#7b8a95",
            checkbox_border_color_dark="#a9b6bf",
            checkbox_label_background_fill=PAPER,
            checkbox_label_background_fill_dark=DARK_PAPER,
            checkbox_label_background_fill_selected="#e6f1f1",
            checkbox_label_background_fill_selected_dark="#1d3438",
            checkbox_label_text_color=INK,
            checkbox_label_text_color_dark=DARK_INK,
            checkbox_label_text_color_selected=INK,
            checkbox_label_text_color_selected_dark=DARK_INK,
            table_even_background_fill=PAPER,
            table_even_background_fill_dark=DARK_PAPER,
            table_odd_background_fill=PAPER,
            table_odd_background_fill_dark=DARK_PAPER,
            link_text_color=ACCENT,
            link_text_color_dark=ACCENT_DARK,
            color_accent=ACCENT,
        )
