"""Chapters written by hand that show the writer its form: one stands before each request, by turns."""

EXAMPLES = (
    (
        "a small bench. In it are Rosie the bird (she) and her friend Theo the boy (he). Rosie helps Theo.",
        (
            'One day, Rosie and Theo saw a small bench by the road. The bench was dirty, and one leg was broken. "Poor '
            'bench," said Theo. "Nobody can sit on it now." He wanted to fix it, but he had no hammer. Rosie flew home and '
            "came back with a hammer and two nails. Theo put the leg back on the bench, and Rosie washed it with a wet "
            'leaf. Soon the bench was as good as new. Theo sat down, and Rosie sat beside him. "Thank you, Rosie," he '
            "said. In the end, the two friends sat on the bench until the sun went down."
        ),
    ),
    (
        "a wet sock. In it are Gus the bee (he) and his friend Zoe the girl (she). Gus learns to be patient.",
        (
            "It was a cold morning. Gus had a wet sock, and he did not like it at all. He hung the sock on a branch and "
            'sat down under it. "When will it be dry?" he asked. "Soon," said Zoe. "We only have to wait." Gus looked up '
            "every minute, but the sock was still wet. So Zoe sang a song for him, and then they counted the birds in the "
            "sky. Gus forgot all about his sock. When he looked up again, it was warm and dry. He put it on and danced. "
            '"You see?" said Zoe. "It is easier to wait with a friend."'
        ),
    ),
    (
        "a strange plant. In it are Rita the woman (she) and her friend Elsa the ant (she). They are afraid at first.",
        (
            "Early in the morning, Rita found a strange plant behind her house. It was purple, and it moved. Rita was "
            "afraid, so she called Elsa. Elsa was very small, but she was not afraid of plants. She walked up to it and "
            'touched it. The plant began to shake. "It is laughing!" cried Elsa. "Look, I can make it laugh." Rita came '
            "closer and touched a leaf with one finger. The plant laughed again, and then Rita laughed too. From that day "
            "on, she gave the plant water every morning, and Elsa came to hear it laugh."
        ),
    ),
    (
        "a cracked plate. In it are Emil the boy (he) and his friend Ned the swan (he). Emil tells Ned the truth.",
        (
            "Emil came to Ned with his head down. He held a cracked plate behind his back. It was the plate that Ned "
            'loved most. "What do you have there?" asked Ned. Emil wanted to say that it was nothing, but he could not '
            'lie to his friend. "I dropped your plate," he said. "I am very sorry." Ned looked at the crack for a long '
            'time. Then he smiled. "It was only a plate," he said. "I am glad that you told me." That evening, they glued '
            "the plate together, and Emil painted a blue line over the crack."
        ),
    ),
)


def example(index: int) -> str:
    """One of them as a turn of the conversation."""
    request, answer = EXAMPLES[index]
    return (
        f"<|im_start|>user\nWrite a short story about {request}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
    )
